"""What one shard costs in requests to the store: each of its facts is read once for each thing done to it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.support.nights.counted import CountedWorld
from tests.support.nights.flow import SOURCE, Flow, put, rows, settings

from nightbatch.ids import Shard
from nightbatch.ledger import keys
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.purchase import AllLanded, Sent, Waiting
from nightbatch.submit.submit import Submitter


@dataclass
class Night:
    """A run whose one shard is claimed."""

    world: CountedWorld
    flow: Flow
    ref: RunRef
    shard: Shard


@pytest.fixture
def night() -> Night:
    """Return a run whose one shard is claimed."""
    world = CountedWorld()
    put(world.store(SOURCE), "dt=1/part-0.parquet", rows(["one", "two"]))
    flow = Flow(world, settings())
    ref = flow.prepare()
    shard = flow.plan(ref)[0].shard
    return Night(world, flow, ref, shard)


def about_facts(requests: list[str]) -> list[str]:
    """Leave out what is read of the snapshot: that is the content of the batch."""
    return [request for request in requests if " snapshots/" not in request]


def test_submitting_reads_each_fact_once(night: Night) -> None:
    world = night.world
    submitter = Submitter(night.flow.ledger, world.api(), world.now, world.timing)
    with world.counting() as requests:
        submitter.submit(night.shard)
    assert about_facts(requests) == [
        "LIST posts/00000001/",
        "GET batches/00000001.json",
        "HEAD claims/00000001.parquet",
        "GET claims/00000001.parquet",
        "PUT posts/00000001/1.json",
        f"LIST {keys.canceled('dag/run')}",
        "GET claims/00000001.parquet",
        "PUT owners/msgbatch_000001.json",
        "PUT batches/00000001.json",
    ]


def test_landing_reads_each_fact_once(night: Night) -> None:
    night.flow.wait(night.flow.submit(night.shard))
    with night.world.counting() as requests:
        night.flow.land(night.shard)
    facts = about_facts(requests)
    assert facts[:-2] == [
        "HEAD landed/00000001.parquet",
        "GET batches/00000001.json",
        "HEAD claims/00000001.parquet",
        "GET claims/00000001.parquet",
        "GET claims/00000001.parquet",
        "PUT landed/00000001.parquet",
    ]
    assert facts[-2].startswith("PUT questions/")
    assert facts[-1] == "PUT costs/00000001.parquet"


def test_which_shards_have_no_batch_is_asked_once_in_a_turn_of_landing(
    night: Night,
) -> None:
    purchase = night.flow.purchase(night.ref)
    sent = purchase.submit()
    assert isinstance(sent, Sent)
    night.flow.wait_for(Waiting(sent.awaited))
    with night.world.counting() as requests:
        assert purchase.land(sent.awaited) == AllLanded(1)
    assert requests.count("LIST batches/") == 1


def test_a_row_of_the_cost_table_is_read_with_one_request(night: Night) -> None:
    night.flow.wait(night.flow.submit(night.shard))
    night.flow.land(night.shard)
    again = Flow(night.world, settings(max_cost_usd=1.0), "dag/again")
    ref = again.prepare()
    with night.world.counting() as requests:
        again.plan(ref)
    rows_read = [request for request in requests if " costs/0" in request]
    assert rows_read == ["GET costs/00000001.parquet"]


def test_a_plan_opens_each_landed_shard_once(night: Night) -> None:
    night.flow.wait(night.flow.submit(night.shard))
    night.flow.land(night.shard)
    again = Flow(night.world, settings(), "dag/again")
    ref = again.prepare()
    with night.world.counting() as requests:
        assert again.plan(ref) == []
    opened = [request for request in requests if request.startswith("HEAD landed/")]
    assert opened == ["HEAD landed/00000001.parquet"]


def test_a_claim_and_a_run_are_read_once_however_often_they_are_needed(
    night: Night,
) -> None:
    ledger = night.flow.ledger
    with night.world.counting() as requests:
        for _ in range(3):
            claim = ledger.shard(night.shard).claim
            ledger.run(claim.snapshot)
    assert requests == [
        "HEAD claims/00000001.parquet",
        "GET claims/00000001.parquet",
        f"GET snapshots/{claim.snapshot}/run.json",
    ]


def test_who_has_written_a_claim_does_not_read_it(night: Night) -> None:
    ledger = night.flow.ledger
    claim = ledger.claim(night.shard)
    ids = ledger.claimed(night.shard)
    second = ledger.view().next
    assert ledger.write_claim(second, claim, ids)
    with night.world.counting() as requests:
        assert ledger.claim(second) == claim
    assert requests == []
    assert night.flow.ledger.claim(second) == claim
