"""`nightbatch ledger`: every state that a claim can be stuck in is named, with what it waits for and what to do."""

from __future__ import annotations

import pytest
from tests.support.crashes.turned import until
from tests.support.nights.flow import TARGET, Flow, published, rows
from tests.support.nights.real import RealWorld
from tests.support.servers.seaweed import ACCESS, SECRET

from nightbatch.__main__ import main
from nightbatch.emulator.embedded import Emulator
from nightbatch.ledger.facts import Refusal
from nightbatch.submit.submit import Submitter

STATE = "s3://lake/_nightbatch/out/"
TEXTS = ["one", "two"]


@pytest.fixture
def flow(world: RealWorld, monkeypatch: pytest.MonkeyPatch) -> Flow:
    """Return a run, and tell the command line where its world is."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": world.s3, "ANTHROPIC_API_KEY": "sk-test", "ANTHROPIC_BASE_URL": world.emulator,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    world.make_bucket(rows(TEXTS))
    return Flow(world)


def listed(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["ledger", STATE]) == 0
    return capsys.readouterr().out


def buyer(flow: Flow) -> Submitter:
    return Submitter(flow.ledger, flow.world.api(), flow.world.now, flow.world.timing)


def test_a_ledger_that_is_not_there_is_an_error(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ledger", STATE]) == 2
    assert "there is no ledger of nightbatch below" in capsys.readouterr().err


def test_an_empty_ledger_says_so(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    flow.prepare()
    assert listed(capsys) == "0 claims: 0 landed, 0 in flight\n"


def test_each_standing_is_named_with_a_way_out(
    flow: Flow, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = flow.plan(flow.prepare())[0].shard
    assert f"{shard}  claimed: 2 requests of dag/run" in listed(capsys)
    emulator.faults(
        {"where": "create", "what": "overloaded", "count": 1, "retry_after": 5}
    )
    buyer(flow).submit(shard)
    assert "then it is sent again: the API answered 529" in listed(capsys)
    emulator.faults(
        {"where": "create", "what": "drop_after", "count": 1},
        {"where": "batch", "what": "never_ends"},
    )
    while len(flow.ledger.posts(shard)) < 2:
        buyer(flow).submit(shard)
    assert f"{shard}  orphan" in listed(capsys)
    assert main(["ledger", STATE, "--release", "1"]) == 1
    assert "may have been bought" in capsys.readouterr().err
    assert main(["ledger", STATE, "--cancel", "1"]) == 2
    assert "no batch yet" in capsys.readouterr().err


def test_a_batch_can_be_canceled_and_its_rows_are_asked_again(
    flow: Flow, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator.faults({"where": "batch", "what": "never_ends", "at": 0.0, "count": 1})
    shard = flow.plan(flow.prepare())[0].shard
    batch = flow.submit(shard)
    assert f"batch {batch}, in progress" in listed(capsys)
    assert main(["ledger", STATE, "--cancel", shard]) == 0
    flow.wait(batch)
    assert f"batch {batch}, ended" in listed(capsys)
    flow.run()
    assert len(published(flow.world.store(TARGET))) == 2
    assert main(["ledger", STATE, "--cancel", shard]) == 2
    assert "has landed already" in capsys.readouterr().err


def test_a_claim_that_bought_nothing_can_be_released(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = flow.plan(flow.prepare())[0].shard
    assert main(["ledger", STATE, "--release", shard]) == 0
    assert "1 landed, 0 in flight" in listed(capsys)
    assert flow.run()["answered"] == 2


def test_an_orphan_can_be_released_once_no_batch_can_be_it(
    flow: Flow,
    emulator: Emulator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, seconds in {"SETTLE": "0.2", "CLOCK_SLACK": "0.3"}.items():
        monkeypatch.setenv(f"NIGHTBATCH_{name}_SECONDS", seconds)
    emulator.faults({"where": "create", "what": "drop_before", "count": 1})
    shard = flow.plan(flow.prepare())[0].shard
    buyer(flow).submit(shard)
    until(lambda: f"or --release {shard}" in listed(capsys), "the grace to be over")
    assert main(["ledger", STATE, "--release", shard]) == 0
    assert "0 in flight" in listed(capsys)
    assert emulator.books()["batches"]["created"] == 0
    assert flow.run()["answered"] == 2


def test_a_release_that_finds_the_batch_says_so(
    flow: Flow, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator.faults({"where": "create", "what": "drop_after", "count": 1})
    shard = flow.plan(flow.prepare())[0].shard
    buyer(flow).submit(shard)
    until(lambda: emulator.books()["batches"].get("ended"), "the batch to end")
    assert main(["ledger", STATE, "--release", shard]) == 1
    assert "cancel that instead" in capsys.readouterr().err
    assert flow.run()["answered"] == 2
    assert emulator.books()["batches"]["created"] == 1


def test_an_api_that_cannot_be_read_hides_no_claim(
    flow: Flow, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = flow.submit(flow.plan(flow.prepare())[0].shard)
    emulator.faults({"where": "retrieve", "what": "api_error"})
    assert f"batch {batch}, not seen" in listed(capsys)
    emulator.faults({"where": "retrieve", "what": "unauthorized"}, replace=True)
    assert "401" in listed(capsys)


def test_a_release_that_died_is_listed_and_can_be_completed(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = flow.plan(flow.prepare())[0].shard
    buyer_now = flow.world.now()
    flow.ledger.write_refusal(
        shard, 1, Refusal(at=buyer_now, why="by hand", released=True)
    )
    from nightbatch.ledger.facts import Post

    flow.ledger.write_post(shard, 1, Post(at=buyer_now, token="x"))
    assert f"{shard}  given up" in listed(capsys)
    assert main(["ledger", STATE, "--release", shard]) == 0
    assert "0 in flight" in listed(capsys)


def test_a_shard_that_is_none_is_told(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    flow.prepare()
    assert main(["ledger", STATE, "--release", "7"]) == 2
    assert "00000007 is not a claim of this ledger." in capsys.readouterr().err
