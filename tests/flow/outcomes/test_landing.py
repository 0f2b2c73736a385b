"""Landing is complete or red: what the API has is read, what it lacks is lost, what is paid for is not given up."""

from __future__ import annotations

from typing import Any

import pytest

from nightbatch.errors import AccountStopped, ApiUnavailable, BatchGone, Incomplete
from nightbatch.land import read_results as landing
from nightbatch.ports import Batch


def results(what: str, **more: Any) -> dict[str, Any]:
    return {"where": "results", "what": what, **more}


def bought(night: Any, **changes: Any) -> Any:
    """Buy everything in one batch, and return its shard."""
    ref = night.prepare(**changes)
    shard = night.plan(ref, 1).shards[0].shard
    night.buy(shard)
    return shard


@pytest.mark.parametrize(
    "what",
    ["garbled", "missing", "reset", "cut_mid_line", "cut_clean", "short", "api_error"],
)
def test_a_stream_that_fails_once_is_read_again(night: Any, what: str) -> None:
    shard = bought(night)
    night.emulator.faults(results(what, nth=1))
    assert night.land(shard).statuses == {"answered": 10}


@pytest.mark.parametrize(
    "what", ["duplicated", "unknown_id", "blank", "unknown_fields"]
)
def test_lines_that_only_add_do_no_harm(night: Any, what: str) -> None:
    shard = bought(night)
    night.emulator.faults(results(what))
    assert night.land(shard).statuses == {"answered": 10}


def test_lines_that_were_passed_over_are_counted(night: Any) -> None:
    shard = bought(night)
    night.emulator.faults(
        results("duplicated", lines=3), results("unknown_id", lines=2)
    )
    fact = night.land(shard)
    assert fact.odd["unknown"] == 2
    assert fact.odd["repeated"] >= 3


@pytest.mark.parametrize("what", ["garbled", "missing"])
def test_a_line_that_never_comes_is_lost_after_some_readings(
    night: Any, what: str
) -> None:
    shard = bought(night)
    night.emulator.faults(results(what, lines=2))
    assert night.land(shard).statuses == {"answered": 8, "missing": 2}
    assert night.emulator.books()["calls"]["results"]["200"] == landing.READINGS


def test_each_reading_of_a_breaking_stream_adds_to_those_before(night: Any) -> None:
    shard = bought(night)
    night.emulator.faults(
        *(
            results("missing", lines=4, nth=number, seed=number)
            for number in range(1, 7)
        )
    )
    assert night.land(shard).statuses == {"answered": 10}


def test_a_result_of_the_future_is_lost_and_the_others_land(night: Any) -> None:
    shard = bought(night)
    night.emulator.faults(results("unknown_type", lines=2))
    assert night.land(shard).statuses == {"answered": 8, "errored": 2}


@pytest.mark.parametrize(
    "what", ["drop_before", "api_error", "overloaded", "unavailable"]
)
def test_results_that_cannot_be_read_at_all_are_not_given_up(
    night: Any, what: str
) -> None:
    shard = bought(night)
    night.emulator.faults(results(what))
    with pytest.raises(ApiUnavailable):
        night.land(shard)
    assert night.ledger.landed(shard) is None
    night.emulator.clear_faults()
    assert night.land(shard).statuses == {"answered": 10}


class Api:
    """An API whose batch has ended, and whose results come as a test says."""

    def __init__(
        self, api: Any, body: bytes | Exception, batch: Batch | Exception | None = None
    ) -> None:
        self.api, self.body, self.ended, self.readings = api, body, batch, 0

    def batch(self, name: Any) -> Batch:
        if isinstance(self.ended, Exception):
            raise self.ended
        found: Batch = self.ended or self.api.batch(name)
        return found

    def page(self, after: Any = None) -> Any:
        return self.api.page(after)

    def results(self, name: Any) -> Any:
        return self

    def __enter__(self) -> Any:
        self.readings += 1
        if isinstance(self.body, Exception):
            raise self.body
        return iter([self.body])

    def __exit__(self, *_: object) -> None:
        return None


def test_an_empty_stream_for_many_paid_rows_is_no_loss(
    night: Any, make_tickets: Any
) -> None:
    night.put("a.parquet", make_tickets(landing.FEW + 1))
    shard = bought(night)
    night.api = Api(night.api, b"")
    with pytest.raises(Incomplete, match="0 of 1001 results"):
        night.land(shard)
    assert night.ledger.landed(shard) is None


def test_an_empty_stream_for_a_few_rows_is_a_loss(night: Any) -> None:
    shard = bought(night, limit=2)
    night.api = Api(night.api, b"")
    assert night.land(shard).statuses == {"missing": 2}


def test_a_batch_that_still_runs_is_not_landed(night: Any) -> None:
    shard = bought(night)
    running = night.api.batch(night.ledger.batch(shard).batch)
    night.api = Api(
        night.api,
        BatchGone("not yet"),
        Batch(running.id, running.created_at, ended=False),
    )
    with pytest.raises(Incomplete, match="has not ended"):
        night.land(shard)


def test_a_deleted_batch_is_lost_with_its_reason(night: Any) -> None:
    shard = bought(night)
    batch = night.ledger.batch(shard).batch
    night.api._client.messages.batches.delete(batch)
    fact = night.land(shard)
    assert fact.statuses == {"missing": 10}
    assert list(fact.errors) == [
        f"batch {batch} was deleted before its results were read"
    ]


def test_a_batch_that_is_gone_for_a_moment_is_not_lost(night: Any) -> None:
    shard = bought(night)
    night.emulator.faults({"where": "retrieve", "what": "not_found", "count": 3})
    assert night.land(shard).statuses == {"answered": 10}


def test_a_batch_that_is_listed_is_not_gone(night: Any) -> None:
    shard = bought(night)
    night.emulator.faults({"where": "retrieve", "what": "not_found"})
    with pytest.raises(ApiUnavailable):
        night.land(shard)


def test_results_that_are_no_longer_kept_are_lost(night: Any) -> None:
    shard = bought(night)
    found = night.api.batch(night.ledger.batch(shard).batch)
    old = Batch(
        found.id, found.created_at - landing.KEPT * 2, ended=True, counts=found.counts
    )
    night.api = Api(night.api, BatchGone("gone"), old)
    fact = night.land(shard)
    assert fact.statuses == {"missing": 10}
    assert "no longer kept" in next(iter(fact.errors))


def test_results_that_should_be_there_but_are_not_are_waited_for(night: Any) -> None:
    shard = bought(night)
    night.emulator.faults(results("not_found"))
    with pytest.raises(ApiUnavailable, match="its results are not there"):
        night.land(shard)


def test_landing_twice_equals_landing_once(night: Any) -> None:
    shard = bought(night)
    first = night.land(shard)
    assert night.land(shard) == first


def test_rows_that_failed_for_the_account_stay_pending(night: Any) -> None:
    night.emulator.faults({"where": "batch", "what": "credit_out", "after": 0.4})
    shard = bought(night)
    with pytest.raises(
        AccountStopped,
        match=r"the account is at fault .*Fix the account, then run again",
    ):
        night.land(shard)
    fact = night.land(shard)
    assert set(fact.statuses) == {"answered", "errored"}
    night.emulator.clear_faults()
    report = night.run("second")
    assert report["answered"] == 10
    assert report["bought"] == fact.statuses["errored"]
    assert report["reused"] == fact.statuses["answered"]


@pytest.mark.parametrize(
    "what", ["credit", "usage_limit", "spend_limit", "billing", "permission", "on_hold"]
)
def test_an_account_that_cannot_buy_burns_no_attempt(night: Any, what: str) -> None:
    night.emulator.faults({"where": "create", "what": what})
    ref = night.prepare(attempts=1)
    shard = night.plan(ref, 1).shards[0].shard
    with pytest.raises(AccountStopped, match="Fix the account"):
        night.buy(shard)
    night.emulator.clear_faults()
    assert [planned.shard for planned in night.plan(ref, 1).shards] == [shard]
    night.buy(shard)
    assert night.land(shard).statuses == {"answered": 10}


@pytest.mark.parametrize(
    "what", ["ramp_limit", "queue_full", "rate_limit", "overloaded"]
)
def test_a_limit_that_passes_is_waited_for_and_burns_no_attempt(
    night: Any, what: str
) -> None:
    night.emulator.faults(
        {"where": "create", "what": what, "count": 2, "retry_after": 0.1}
    )
    shard = bought(night, attempts=1)
    assert night.land(shard).statuses == {"answered": 10}
    assert night.emulator.books()["accepted"]["twice"] == 0
