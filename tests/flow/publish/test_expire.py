"""Retention: row texts and raw answers go, what later differences need stays, and nothing is bought again for it."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.support.nights.flow import SOURCE, Flow, put, rows
from tests.support.nights.memory import MemoryWorld

from nightbatch.__main__ import main
from nightbatch.commands.expire import age
from nightbatch.io.memory import MemoryStore
from nightbatch.ledger import keys
from nightbatch.ledger.expire import Expired, expire
from nightbatch.ledger.facts import METADATA

LATER = timedelta(days=400)
TEXTS = ["a secret of the row", "another"]


@pytest.fixture
def world() -> MemoryWorld:
    made = MemoryWorld()
    put(made.store(SOURCE), "dt=1/part-0.parquet", rows(TEXTS))
    return made


def expired(
    flow: Flow, *, dry: bool = False, before: datetime | None = None
) -> Expired:
    now = max(datetime.now(UTC), flow.world.now()) + LATER
    store = flow.world.store(flow.enrichment.state_url)
    assert isinstance(store, MemoryStore)
    return expire(flow.ledger, store, before or now - timedelta(days=1), now, dry=dry)


def state(flow: Flow) -> dict[str, bytes]:
    store = flow.ledger.store
    return {entry.key: store.get(entry.key) for entry in store.list("")}


def texts(flow: Flow) -> list[Any]:
    landed = [key for key in state(flow) if key.startswith(keys.LANDED)]
    return [
        text
        for key in landed
        for text in pq.read_table(flow.ledger.store.open(key))["text"].to_pylist()
    ]


def test_no_staged_row_and_no_raw_text_is_left(world: MemoryWorld) -> None:
    flow = Flow(world)
    flow.run()
    assert sorted(texts(flow)) == [
        "about Say: a secret of the row",
        "about Say: another",
    ]
    done = expired(flow)
    assert (len(done.snapshots), len(done.shards), done.kept) == (1, 1, [])
    assert not [key for key in state(flow) if key.startswith(keys.SNAPSHOTS)]
    assert texts(flow) == [None, None]


def test_a_rerun_after_it_buys_nothing_and_publishes_the_same(
    world: MemoryWorld,
) -> None:
    before = Flow(world).run()
    bought = world.batches.bought()
    expired(Flow(world))
    again = Flow(world, buyer="dag/again").run()
    assert world.batches.bought() == bought
    assert (again["rows"], again["by_status"], again["bought"]) == (
        before["rows"],
        before["by_status"],
        0,
    )


def test_a_landed_shard_keeps_its_facts_its_rows_and_their_order(
    world: MemoryWorld,
) -> None:
    flow = Flow(world)
    flow.run()
    (key,) = (key for key in state(flow) if key.startswith(keys.LANDED))
    before = pq.ParquetFile(flow.ledger.store.open(key))
    expired(flow)
    after = pq.ParquetFile(flow.ledger.store.open(key))
    assert after.metadata.metadata[METADATA] == before.metadata.metadata[METADATA]
    assert after.read().drop_columns("text").equals(before.read().drop_columns("text"))


def test_what_is_young_stays(world: MemoryWorld) -> None:
    flow = Flow(world)
    flow.run()
    before = state(flow)
    assert expired(flow, before=datetime(2000, 1, 1, tzinfo=UTC)) == Expired([], [], [])
    assert state(flow) == before


def test_a_dry_run_only_tells(world: MemoryWorld) -> None:
    flow = Flow(world)
    flow.run()
    before = state(flow)
    told = expired(flow, dry=True)
    assert state(flow) == before
    assert expired(flow) == told


def test_a_second_expiry_finds_nothing_to_do(world: MemoryWorld) -> None:
    flow = Flow(world)
    flow.run()
    expired(flow)
    assert expired(flow) == Expired([], [], [])


def test_what_a_claim_in_flight_needs_stays_until_it_has_landed(
    world: MemoryWorld,
) -> None:
    flow = Flow(world)
    ref = flow.prepare()
    planned_shards = flow.plan(ref)
    done = expired(flow)
    assert (done.snapshots, done.kept) == ([], [ref.snapshot])
    for planned in planned_shards:
        flow.wait(flow.submit(planned.shard))
        flow.land(planned.shard)
    assert flow.publish(ref)["answered"] == len(TEXTS)
    assert expired(flow).snapshots == [ref.snapshot]


def test_an_expiry_that_was_cut_short_is_finished_by_the_next(
    world: MemoryWorld,
) -> None:
    flow = Flow(world)
    ref = flow.prepare()
    for planned in flow.plan(ref):
        flow.wait(flow.submit(planned.shard))
        flow.land(planned.shard)
    flow.ledger.store.remove([keys.run(ref.snapshot)])
    assert expired(flow).snapshots == [ref.snapshot]
    assert Flow(world, buyer="dag/again").run()["bought"] == 0


@pytest.mark.parametrize(("text", "hours"), [("30d", 720), ("12h", 12), ("2w", 336)])
def test_an_age_is_a_number_and_a_unit(text: str, hours: int) -> None:
    assert age(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["30", "0d", "-1d", "d", "1y", "1.5d"])
def test_anything_else_is_no_age(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        age(text)


def test_the_command_needs_an_age(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["expire", "s3://lake/_nightbatch/out/"])
    assert "--older-than" in capsys.readouterr().err
