"""Puts whose answer is lost, late or an error: the store is asked what stands there, and says so."""

from __future__ import annotations

import pytest
from tests.support.servers.proxy import Proxy

from nightbatch.errors import StoreError, StoreUnfit
from nightbatch.io.s3 import PART_BYTES, S3Store
from nightbatch.ports import Store
from nightbatch.prepare.prepare import probe


@pytest.mark.parametrize("answer", ["lose", "fail"])
def test_a_put_that_was_done_counts_as_done_though_its_answer_was_lost(
    proxy: Proxy, behind: Store, answer: str
) -> None:
    proxy.plan = [answer] * 8
    assert behind.create("a", b"mine")
    assert behind.get("a") == b"mine"


@pytest.mark.parametrize("answer", ["lose", "fail"])
def test_a_put_over_another_object_is_known_as_taken_though_its_answer_was_lost(
    proxy: Proxy, behind: Store, answer: str
) -> None:
    behind.create("a", b"another's")
    proxy.plan = [answer] * 8
    assert not behind.create("a", b"mine")
    assert behind.get("a") == b"another's"


def test_a_put_sent_again_by_boto_itself_is_not_taken_for_another_s(
    proxy: Proxy, behind: Store
) -> None:
    proxy.plan = ["lose", "pass"]
    assert behind.create("a", b"mine")
    assert len(proxy.seen) == 2


def test_a_put_that_was_not_done_is_an_error_and_not_a_no(
    proxy: Proxy, behind: Store
) -> None:
    proxy.plan = ["cut"] * 8
    with pytest.raises(StoreError):
        behind.create("a", b"mine")
    assert list(behind.list("a")) == []


def test_an_object_that_its_writer_removes_after_it_was_found_to_be_taken_was_another_s(
    proxy: Proxy, behind: S3Store
) -> None:
    class RemovedSince(S3Store):
        def get(self, key: str) -> bytes:
            self.remove([key])
            return super().get(key)

    behind.create("a", b"another's")
    store = RemovedSince(behind.url, behind.client, lambda: None, {})
    assert not store.create("a", b"mine")
    assert list(behind.list("a")) == []


def test_a_conflict_with_another_put_under_way_is_tried_again(
    proxy: Proxy, behind: Store
) -> None:
    proxy.plan = ["busy", "busy"]
    assert behind.create("a", b"mine")


def test_a_large_upload_whose_completion_was_lost_stands(
    proxy: Proxy, behind: Store
) -> None:
    proxy.plan = ["lose"] * 8
    upload = behind.upload("large")
    upload.write(b"x" * (PART_BYTES + 1))
    upload.commit()
    assert next(behind.list("large")).size == PART_BYTES + 1


def test_a_large_upload_that_was_not_completed_is_an_error(
    proxy: Proxy, behind: Store
) -> None:
    proxy.plan = ["cut"] * 8
    upload = behind.upload("large")
    upload.write(b"x" * (PART_BYTES + 1))
    with pytest.raises(StoreError):
        upload.commit()
    upload.abort()
    assert list(behind.list("large")) == []


def test_a_store_whose_second_put_silently_wins_is_refused(
    proxy: Proxy, behind: Store
) -> None:
    proxy.always = "strip"
    with pytest.raises(StoreUnfit, match="no conditional writes"):
        probe(behind)


def test_a_store_that_does_not_know_conditions_is_refused(
    proxy: Proxy, behind: Store
) -> None:
    proxy.always = "unfit"
    with pytest.raises(StoreUnfit):
        probe(behind)
