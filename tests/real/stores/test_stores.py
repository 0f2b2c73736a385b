"""One suite of behaviour for every store: facts, claims and leases rest on these promises."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.servers.stores import Open

from nightbatch.columnar import parquet
from nightbatch.errors import Absent, StoreError, Unreadable
from nightbatch.ids import BatchId, Snapshot
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.io.s3 import S3Store
from nightbatch.ledger import keys, lease
from nightbatch.ledger.facts import Bought, Claim, Gone, Maybe, Post, Refusal, Seen
from nightbatch.ledger.ledger import CLAIM, Ledger
from nightbatch.ports import Store
from nightbatch.prepare.prepare import probe

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PART = 6 * 1024 * 1024
ONE, TWO = BatchId("msgbatch_one"), BatchId("msgbatch_two")


def test_what_was_created_is_read_back(store: Store) -> None:
    assert store.create("a/b.json", b"first")
    assert store.get("a/b.json") == b"first"
    assert store.open("a/b.json").read() == b"first"


def test_a_key_is_created_once(store: Store) -> None:
    assert store.create("a", b"first")
    assert not store.create("a", b"second")
    assert store.get("a") == b"first"


def test_creating_the_same_again_is_no_conflict(store: Store) -> None:
    assert store.create("a", b"first")
    assert store.create("a", b"first")


def test_an_absent_object_is_told_as_absent(store: Store) -> None:
    with pytest.raises(Absent):
        store.get("nothing")
    with pytest.raises(Absent):
        store.open("nothing").read()


def test_the_size_of_an_object_is_known_without_reading_it(
    store: S3Store | MemoryStore,
) -> None:
    for name, body in (("empty", b""), ("byte", b"x"), ("large", b"x" * PART)):
        store.create(name, body)
        assert store.size(name) == len(body)
    with pytest.raises(Absent):
        store.size("nothing")


def test_of_sixteen_that_create_one_key_at_once_one_wins(open_store: Open) -> None:
    stores = [open_store("s3://suite/state/") for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        won = list(
            pool.map(
                lambda pair: pair[1].create("raced", b"%d" % pair[0]), enumerate(stores)
            )
        )
    assert won.count(True) == 1
    assert stores[0].get("raced") == b"%d" % won.index(True)


def test_a_listing_is_in_the_order_of_keys_and_below_its_root(open_store: Open) -> None:
    store, other = open_store("s3://suite/state/"), open_store("s3://suite/state-2/")
    other.create("claims/0", b"other")
    for name in ("claims/3", "claims/1", "posts/1", "claims/2"):
        store.create(name, b"x" * 3)
    assert [entry.key for entry in store.list("claims/")] == [
        "claims/1",
        "claims/2",
        "claims/3",
    ]
    assert {entry.size for entry in store.list("")} == {3}


def test_a_listing_goes_beyond_a_thousand(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda number: store.create(f"many/{number:04d}", b""), range(1_002)
            )
        )
    assert [entry.key for entry in store.list("many/")] == [
        f"many/{number:04d}" for number in range(1_002)
    ]


@pytest.mark.parametrize("folder", ["", "dt=1/"])
def test_the_children_of_a_folder_are_what_stands_directly_in_it(
    store: Store, folder: str
) -> None:
    for name in ("part-1", "part-time/2026/q", "a/x", "b"):
        store.create(folder + name, b"x")
    assert [entry.key for entry in store.children(folder)] == [
        f"{folder}b",
        f"{folder}part-1",
    ]


def test_the_etag_tells_contents_apart(store: Store) -> None:
    store.create("a", b"first")
    before = next(store.list("a")).etag
    store.remove(["a"])
    store.create("a", b"other")
    assert next(store.list("a")).etag != before


def test_removing_what_is_not_there_is_no_error(store: Store) -> None:
    store.create("a", b"x")
    store.remove(["a", "b"])
    assert list(store.list("a")) == []


@pytest.mark.parametrize("parts", [1, 4])
def test_an_upload_is_seen_once_committed_and_never_before(
    store: Store, parts: int
) -> None:
    upload = store.upload("large")
    for _ in range(parts):
        upload.write(b"x" * PART)
    assert list(store.list("large")) == []
    assert upload.commit()
    assert next(store.list("large")).size == parts * PART


@pytest.mark.parametrize("parts", [1, 4])
def test_of_two_uploads_to_one_key_the_first_committed_stays(
    store: Store, parts: int
) -> None:
    first, second = store.upload("large"), store.upload("large")
    for upload, letter in ((first, b"1"), (second, b"2")):
        for _ in range(parts):
            upload.write(letter * PART)
    assert second.commit()
    assert not first.commit()
    assert store.get("large")[:1] == b"2"


def test_an_upload_that_is_given_up_leaves_nothing(store: Store) -> None:
    upload = store.upload("large")
    for _ in range(4):
        upload.write(b"x" * PART)
    upload.abort()
    assert list(store.list("large")) == []


def test_a_sheet_left_by_an_exception_is_not_published(store: Store) -> None:
    rows = pa.table({"n": list(range(1000))})

    def write() -> None:
        with parquet.ParquetUpload(store, "rows.parquet", rows.schema) as sheet:
            sheet.write(rows)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert list(store.list("rows.parquet")) == []


def test_parquet_is_read_by_column(store: Store) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), out)
    store.create("rows.parquet", out.getvalue())
    assert parquet.table(store, "rows.parquet", ["b"]).to_pydict() == {"b": ["x", "y"]}


def test_what_is_no_parquet_is_unreadable_and_not_absent(store: Store) -> None:
    store.create("rows.parquet", b"not parquet at all")
    with pytest.raises(Unreadable):
        parquet.table(store, "rows.parquet")


def test_the_probe_finds_it_fit_and_leaves_nothing(store: Store) -> None:
    probe(store)
    assert list(store.list("")) == []


# Facts and claims.


def claim(token: str = "a") -> Claim:
    return Claim(
        snapshot=Snapshot("s"), buyer="dag/run", scope="", target="t", partition="p", attempt=1, total=2, size=10,
        created_at=NOW, token=token,
    )  # fmt: skip


REQUESTS = pa.table({"id": [b"a" * 20, b"b" * 20], "part": [0, 0]}, schema=CLAIM)


def test_a_claim_is_a_numbered_fact_that_the_first_planner_writes(store: Store) -> None:
    ledger = Ledger(store)
    first = ledger.view().next
    assert ledger.write_claim(first, claim("a"), REQUESTS)
    assert not ledger.write_claim(first, claim("b"), REQUESTS)
    assert ledger.claim(first).token == "a"
    assert ledger.claimed(first).column("id").to_pylist() == [b"a" * 20, b"b" * 20]
    assert ledger.view().in_flight == [first]
    assert ledger.view().next == keys.shard(2)


def test_a_post_is_sent_by_whoever_wrote_it_first(store: Store) -> None:
    ledger, shard = Ledger(store), keys.shard(1)
    assert ledger.write_post(shard, 1, Post(at=NOW, token="a"))
    assert not ledger.write_post(shard, 1, Post(at=NOW, token="b"))
    assert [one.post.token for one in ledger.posts(shard)] == ["a"]


def test_how_a_post_ended_is_read_with_it(store: Store) -> None:
    ledger, shard = Ledger(store), keys.shard(1)
    for number in (1, 2, 10):
        ledger.write_post(shard, number, Post(at=NOW, token=str(number)))
    assert ledger.write_refusal(shard, 1, Refusal(at=NOW, why="no"))
    assert not ledger.write_refusal(shard, 1, Refusal(at=NOW, why="another no"))
    ledger.write_maybe(shard, 2, Maybe(at=NOW, why="lost"))
    known = [
        (one.number, one.refusal and one.refusal.why, one.maybe and one.maybe.why)
        for one in ledger.posts(shard)
    ]
    assert known == [(1, "no", None), (2, None, "lost"), (10, None, None)]


def test_a_batch_is_one_claims_and_a_claim_is_one_batch(store: Store) -> None:
    ledger, one, two = Ledger(store), keys.shard(1), keys.shard(2)
    assert ledger.write_owner(ONE, one)
    assert ledger.write_owner(ONE, one)
    assert not ledger.write_owner(ONE, two)
    assert ledger.owners() == {ONE}
    assert ledger.owner(ONE) == one
    first = Bought(batch=ONE, created_at=NOW, total=2)
    assert ledger.write_batch(one, first) == first
    assert ledger.write_batch(one, Bought(batch=TWO, created_at=NOW, total=2)) == first


def test_a_claim_without_a_batch_says_so(store: Store) -> None:
    ledger = Ledger(store)
    ledger.write_claim(keys.shard(1), claim(), REQUESTS)
    assert ledger.batch(keys.shard(1)) is None
    assert ledger.landed(keys.shard(1)) is None


def test_a_second_purchase_is_claimed_once_however_often_it_is_found(
    store: Store,
) -> None:
    ledger = Ledger(store)
    ledger.write_claim(keys.shard(1), claim(), REQUESTS)
    second = ledger.write_second(claim(), REQUESTS, TWO)
    assert second == ledger.write_second(claim(), REQUESTS, TWO) == keys.shard(2)
    found = ledger.batch(second)
    assert found is not None
    assert found.batch == TWO


def test_what_was_seen_of_a_stranger_is_remembered(store: Store) -> None:
    ledger = Ledger(store)
    assert ledger.seen(ONE) is None
    ledger.write_seen(ONE, Seen(["ab" * 20]))
    assert ledger.seen(ONE) == Seen(["ab" * 20])
    assert (
        ledger.first_gone(TWO, Gone(NOW))
        == ledger.first_gone(TWO, Gone(NOW + timedelta(1)))
        == Gone(NOW)
    )
    assert ledger.seen(TWO) is None


# Leases.


class Ticking:
    """A clock that goes on by what is waited."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at

    def pause(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def test_a_lease_is_given_back_at_the_end(store: Store) -> None:
    clock = Ticking()
    for holder in ("a", "b", "c"):
        with lease.hold(store, clock, holder=holder, pause=clock.pause):
            pass
    assert clock.at == NOW


def test_a_lease_is_waited_for_until_it_expires(store: Store) -> None:
    clock = Ticking()
    with (
        lease.hold(store, clock, holder="dead", seconds=60, pause=clock.pause),
        lease.hold(store, clock, holder="next", seconds=60, pause=clock.pause),
    ):
        assert timedelta(seconds=60) <= clock.at - NOW < timedelta(seconds=70)


def test_a_run_takes_its_own_lease_over_at_once(store: Store) -> None:
    clock = Ticking()
    with (
        lease.hold(store, clock, holder="same", pause=clock.pause),
        lease.hold(store, clock, holder="same", pause=clock.pause),
    ):
        assert clock.at == NOW


def test_whoever_waits_for_a_lease_gives_up_in_the_end() -> None:
    clock, store = Ticking(), MemoryStore("s3://suite/state/", MemoryBucket())

    def renewed(seconds: float) -> None:
        clock.pause(seconds)
        number = max(int(entry.key[-13:-5]) for entry in store.list(keys.LEASES))
        mine = lease.Lease(holder="busy", until=clock() + timedelta(seconds=60))
        store.create(keys.lease(number + 1), mine.to_json())

    with (
        lease.hold(store, clock, holder="busy", seconds=60, pause=clock.pause),
        pytest.raises(StoreError, match="Try again later"),
        lease.hold(store, clock, holder="next", seconds=60, pause=renewed),
    ):
        pass


def test_old_leases_are_cleared_away(store: Store) -> None:
    clock = Ticking()
    for number in range(20):
        with lease.hold(store, clock, holder=str(number), pause=clock.pause):
            pass
    assert len(list(store.list(keys.LEASES))) <= 2 * (lease.KEPT + 1)
