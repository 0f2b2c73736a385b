"""Canceling a run from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.support.nights.flow import SOURCE, Flow, put, rows, settings
from tests.support.nights.memory import MemoryWorld
from tests.support.nights.real import RealWorld
from tests.support.servers.s3 import serving, shell_variables

from nightbatch.__main__ import main
from nightbatch.emulator.embedded import Emulator
from nightbatch.ledger.facts import Canceled
from nightbatch.submit.cancel import cancel


@pytest.fixture
def world() -> MemoryWorld:
    """Return a world in memory with two partitions."""
    world = MemoryWorld()
    for partition in ("dt=1", "dt=2"):
        texts = [f"{partition} {number}" for number in range(6)]
        put(world.store(SOURCE), f"{partition}/part-0.parquet", rows(texts))
    return world


def run(world: MemoryWorld, partition: str) -> Flow:
    return Flow(
        world, settings(partition, max_batch_requests=2), buyer=f"dag/{partition}"
    )


def test_all_batches_of_a_run_are_canceled_and_no_others(world: MemoryWorld) -> None:
    first, second = run(world, "dt=1"), run(world, "dt=2")
    for flow in (first, second):
        for planned in flow.plan(flow.prepare())[:2]:
            flow.submit(planned.shard)
    wanted = Canceled("dag/dt=1", world.now(), "ana")
    outcomes = cancel(wanted, first.ledger, world.batches, world.now).outcomes
    assert [outcome.split()[-1] for outcome in outcomes.values()] == [
        "ended",
        "ended",
        "bought",
    ]
    ended = [batch.status_at(world.now()).ended for batch in world.batches.made]
    assert ended == [True, True, False, False]


@pytest.fixture
def real(
    waiting_server: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RealWorld]:
    """Return a bucket on a real S3 server, an account whose batches last an hour, and the environment of a person."""
    waiting_server.reset()
    with serving() as url:
        variables = shell_variables(url, waiting_server.url)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        world = RealWorld(url, waiting_server.url)
        world.make_bucket(rows([f"text {number}" for number in range(6)]))
        yield world


def test_one_command_cancels_a_whole_run(
    real: RealWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = Flow(real, settings(max_batch_requests=2))
    for planned in flow.plan(flow.prepare()):
        flow.submit(planned.shard)
    command = ["cancel", flow.enrichment.state_url, "--run"]
    assert main([*command, "dag/run", "--by", "ana", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["run"], result["canceled_by"]) == ("dag/run", "ana")
    outcomes = [shard["outcome"] for shard in result["shards"]]
    assert [outcome.split(maxsplit=2)[2] for outcome in outcomes] == [
        "is being canceled"
    ] * 3
    assert Emulator(real.emulator).books()["batches"]["canceling"] == 3
    assert main([*command, "dag/nobody"]) == 2
    message = capsys.readouterr().err
    assert "no run 'dag/nobody'" in message
    assert "The last runs that have: dag/run." in message
    with pytest.raises(SystemExit, match="2"):
        main([*command, "nobody"])
    assert "DAG_ID/RUN_ID" in capsys.readouterr().err
