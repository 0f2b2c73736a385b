"""What happens at the account, to processes that really run: strangers, the Console, the API's clock, its memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.crashes import processes
from tests.support.crashes.case_table import Judged
from tests.support.crashes.kills import LOST, NEVER
from tests.support.crashes.turned import Turned, until
from tests.support.nights.flow import TARGET, Flow, published, rows, settings
from tests.support.nights.real import QUICK, TEXTS
from tests.support.servers.account import Stranger, batches

from nightbatch.columnar import parquet
from nightbatch.emulator.embedded import Emulator
from nightbatch.ledger import keys
from nightbatch.submit.decide import SubmitTiming

HERE = "Events at the account, on real servers"
DAY = 86_400.0
SIZE = 4
"""Distinct requests of TEXTS: what one batch of ours holds."""
AMONG = {
    "drop_after": (
        "an orphan among",
        "The run takes over only the batch that has the claim's custom_ids.",
    ),
    "drop_before": (
        "a create never reaches the API, among",
        "The run waits for each of them, reads it once and does not take it over.",
    ),
}
ONCE = settings(attempts=1)
"""What is asked where nothing is to be asked again."""
NEVER_ENDS = {"where": "batch", "what": "never_ends", "count": 1}


@pytest.fixture
def theirs(emulator: Emulator) -> Stranger:
    """Return somebody else who uses the account."""
    return Stranger(emulator.url)


@pytest.fixture
def ours(turned: Turned) -> Turned:
    """Return a world with one source partition, whose clock can be turned."""
    made = Turned(replace(turned.world, timing=replace(QUICK, send=30)))
    made.world.make_bucket(rows(TEXTS))
    return made


def result_reads(emulator: Emulator) -> int:
    """Count how often results were read, before the judge reads them too."""
    return int(emulator.books()["calls"].get("results", {}).get("200", 0))


# Strangers.


@pytest.mark.parametrize("fault", [LOST, NEVER], ids=["around an orphan", "alone"])
def test_strangers_of_the_same_size_are_left_alone(
    ours: Turned, theirs: Stranger, judged: Judged, undisturbed: list[object],
    fault: dict[str, object],
) -> None:  # fmt: skip
    theirs.buy(2, SIZE)
    ours.emulator.faults(fault)
    run = processes.start(ours.world, ONCE, "dag/run")
    until(lambda: ours.emulator.books()["faults"][0]["hits"], "our create to be struck")
    with Stranger(ours.emulator.url, "another").buying(SIZE) as other:
        assert processes.end(run) == 0
    assert (
        ours.emulator.books()["batches"]["created"] == theirs.bought + other.bought + 1
    )
    assert result_reads(ours.emulator) <= theirs.bought + other.bought + 2
    assert any(Flow(ours.world).ledger.store.list("seen/"))
    assert published(ours.world.store(TARGET)) == undisturbed
    case, told = AMONG[str(fault["what"])]
    judged(
        HERE, f"{case} other programs' batches of the same size", told, Flow(ours.world)
    )


def test_an_orphan_behind_more_than_a_thousand_batches_is_found(
    ours: Turned,
    theirs: Stranger,
    judged: Judged,
    undisturbed: list[object],
    tmp_path: Path,
) -> None:
    (tmp_path / "batch created").touch()
    assert processes.run(ours.world, ONCE, "dag/run", tmp_path) == processes.KILLED
    theirs.buy(1_001, size=1)
    assert processes.run(ours.world, ONCE, "dag/next") == 0
    assert ours.emulator.books()["batches"]["created"] == 1_002
    assert published(ours.world.store(TARGET)) == undisturbed
    told = "Killed, then run again: the run reads the list page by page, back to the time of the claim."
    judged(
        HERE,
        "an orphan that more than 1,000 newer batches follow in the list",
        told,
        Flow(ours.world),
    )


def test_strangers_whose_results_are_gone_are_passed_over(
    ours: Turned,
    theirs: Stranger,
    judged: Judged,
    undisturbed: list[object],
    tmp_path: Path,
) -> None:
    world = replace(ours.world, timing=SubmitTiming())
    theirs.buy(1, SIZE)
    ours.emulator.faults(NEVER)
    (tmp_path / "answer lost").touch()
    assert processes.run(world, ONCE, "dag/run", tmp_path) == processes.KILLED
    ours.turn(40 * DAY)
    successor = processes.start(world, ONCE, "dag/next")
    until(
        lambda: any(Flow(world).ledger.store.list("seen/")),
        "the results to be found gone",
    )
    ours.turn(1_000)
    assert processes.end(successor) == 0
    assert [one["requests"] for one in batches(ours.emulator)] == [SIZE, SIZE]
    assert published(ours.world.store(TARGET)) == undisturbed
    told = "The run requests its results for a while, then ignores it."
    judged(
        HERE,
        "a batch that may be the orphan's, whose results were deleted after 29 days",
        told,
        Flow(ours.world),
    )


# Clocks.


@pytest.mark.parametrize("offset", [-300.0, 300.0])
@pytest.mark.parametrize("fault", [LOST, NEVER], ids=["lost", "never arrived"])
def test_clocks_may_be_five_minutes_apart(
    ours: Turned, judged: Judged, undisturbed: list[object], offset: float,
    fault: dict[str, object],
) -> None:  # fmt: skip
    world = replace(ours.world, timing=SubmitTiming(look=1), clock_offset=offset)
    ours.emulator.faults(fault)
    run = processes.start(world, ONCE, "dag/run")
    until(
        lambda: any(Flow(world).ledger.store.list("posts/00000001/1.maybe")),
        "the lost create to be noted",
    )
    ours.turn(400)
    assert processes.end(run) == 0
    assert ours.emulator.books()["batches"]["created"] == 1
    assert published(ours.world.store(TARGET)) == undisturbed
    told = "The search allows for a larger difference."
    judged(
        HERE,
        "the workers' clock is five minutes ahead of the API's, or behind it",
        told,
        Flow(world),
    )


@pytest.mark.parametrize("offset", [-300.0, 300.0])
@pytest.mark.parametrize("point", ["post written", "batch created"])
def test_a_successor_whose_clock_is_five_minutes_off_buys_once(
    ours: Turned, judged: Judged, undisturbed: list[object], tmp_path: Path,
    point: str, offset: float,
) -> None:  # fmt: skip
    world = replace(ours.world, timing=SubmitTiming(look=1))
    (tmp_path / point).touch()
    assert processes.run(world, ONCE, "dag/run", tmp_path) == processes.KILLED
    successor = processes.start(replace(world, clock_offset=offset), ONCE, "dag/next")
    until(lambda: ours.emulator.books()["calls"].get("list"), "the successor to look")
    assert ours.emulator.books()["batches"]["created"] == (point == "batch created")
    ours.turn(3_000)
    assert processes.end(successor) == 0
    assert ours.emulator.books()["batches"]["created"] == 1
    assert published(ours.world.store(TARGET)) == undisturbed
    told = "The worker waits for as long as either clock may be wrong."
    judged(
        HERE,
        "killed; the worker that continues has a clock five minutes ahead or behind",
        told,
        Flow(world),
    )


# The end of a batch.


def test_an_orphan_that_expires_is_adopted_and_only_what_expired_is_asked_again(
    ours: Turned, judged: Judged, undisturbed: list[object]
) -> None:
    ours.emulator.faults(LOST, NEVER_ENDS)
    run = processes.start(ours.world, settings(), "dag/run")
    until(
        lambda: any(Flow(ours.world).ledger.store.list("posts/00000001/1.maybe")),
        "the lost create to be noted",
    )
    assert run.exitcode is None
    ours.turn(DAY)
    assert processes.end(run) == 0
    assert [one["requests"] for one in batches(ours.emulator)] == [SIZE, SIZE // 2]
    assert published(ours.world.store(TARGET)) == undisturbed
    told = "The run takes the batch over and sends only the expired requests again."
    judged(
        HERE, "the requests of an orphan expire after 24 hours", told, Flow(ours.world)
    )


@pytest.fixture
def under_way(ours: Turned) -> Iterator[processes.Process]:
    """Return a run that waits for a batch which lasts an hour."""
    ours.emulator.faults(
        {"where": "batch", "what": "slow", "seconds": 3_600, "count": 1}
    )
    run = processes.start(ours.world, settings(), "dag/run")
    until(
        lambda: any(Flow(ours.world).ledger.store.list("batches/")),
        "the batch to be noted",
    )
    assert run.exitcode is None
    yield run
    run.kill()


def test_a_batch_that_is_canceled_in_the_console_is_asked_again(
    ours: Turned, theirs: Stranger, judged: Judged, undisturbed: list[object],
    under_way: processes.Process,
) -> None:  # fmt: skip
    theirs.cancel(batches(ours.emulator)[0]["id"])
    assert processes.end(under_way) == 0
    assert batches(ours.emulator)[0]["counts"]["canceled"] == SIZE
    assert published(ours.world.store(TARGET)) == undisturbed
    told = "Its requests count as lost and are sent again."
    judged(
        HERE,
        "a batch is canceled in the Console during the wait",
        told,
        Flow(ours.world),
    )


def test_a_batch_that_is_deleted_in_the_console_is_asked_again(
    ours: Turned, theirs: Stranger, judged: Judged, undisturbed: list[object],
    under_way: processes.Process,
) -> None:  # fmt: skip
    processes.stop(under_way)
    ours.turn(3_601)
    theirs.delete(batches(ours.emulator)[0]["id"])
    processes.wake(under_way)
    assert processes.end(under_way) == 0
    assert batches(ours.emulator)[0]["status"] == "deleted"
    assert published(ours.world.store(TARGET)) == undisturbed
    told = "Its answers no longer exist: each row says so, and its requests are sent again."
    judged(
        HERE,
        "a batch is deleted in the Console during the wait",
        told,
        Flow(ours.world),
        twice=SIZE,
    )


def test_results_gone_after_29_days_are_said_to_be_gone_and_are_asked_again(
    ours: Turned, judged: Judged, undisturbed: list[object]
) -> None:
    asked = settings(max_batch_requests=3, attempts=1)
    ours.emulator.faults({"where": "batch", "what": "slow", "seconds": 3_600, "nth": 2})
    run = processes.start(ours.world, asked, "dag/run")
    until(
        lambda: any(Flow(ours.world).ledger.store.list("batches/00000002")),
        "the second batch to be noted",
    )
    processes.stop(run)
    ours.turn(30 * DAY)
    processes.wake(run)
    assert processes.end(run) == 1
    ledger = Flow(ours.world).ledger
    for shard in ledger.view().landed:
        errors = (
            parquet.table(ledger.store, keys.landed(shard))
            .column("error")
            .unique()
            .to_pylist()
        )
        assert len(errors) == 1
        assert "no longer kept by the API" in errors[0]
    assert processes.run(ours.world, asked, "dag/next") == 0
    assert sorted(one["requests"] for one in batches(ours.emulator)) == [1, 1, 3, 3]
    assert published(ours.world.store(TARGET)) == undisturbed
    told = "said so for each request; the run is red, and the next one asks them again"
    judged(
        HERE, "results are deleted after 29 days", told, Flow(ours.world), twice=SIZE
    )


# The staged requests.


def test_a_run_whose_snapshot_has_expired_buys_nothing_and_can_be_run_again(
    ours: Turned, judged: Judged, undisturbed: list[object], tmp_path: Path
) -> None:
    (tmp_path / "snapshot complete").touch()
    run = processes.fall_asleep(ours.world, ONCE, "dag/run", tmp_path)
    store = Flow(ours.world).ledger.store
    store.remove([entry.key for entry in store.list("snapshots/")])
    processes.wake(run)
    assert processes.end(run) == 1
    assert not batches(ours.emulator)
    assert processes.run(ours.world, settings(), "dag/run") == 0
    assert published(ours.world.store(TARGET)) == undisturbed
    told = "The run fails; run again, it writes a new snapshot."
    judged(
        HERE,
        "the snapshot of a run expires before its claims are written",
        told,
        Flow(ours.world),
    )


def test_a_claim_whose_staged_requests_have_expired_is_given_up_and_bought_by_the_next_run(
    ours: Turned, judged: Judged, undisturbed: list[object], tmp_path: Path
) -> None:
    (tmp_path / "claims complete").touch()
    run = processes.fall_asleep(ours.world, settings(), "dag/run", tmp_path)
    store = Flow(ours.world).ledger.store
    store.remove(
        [entry.key for entry in store.list("snapshots/") if "/requests-" in entry.key]
    )
    processes.wake(run)
    assert processes.end(run) == 1
    assert not batches(ours.emulator)
    assert Flow(ours.world).ledger.view().in_flight == []
    assert processes.run(ours.world, settings(), "dag/run") == 0
    assert published(ours.world.store(TARGET)) == undisturbed
    told = "The claim is closed before anything is sent; run again, the run writes a new snapshot and a new claim."
    judged(
        HERE,
        "the staged requests of a claim expire before its POST",
        told,
        Flow(ours.world),
    )
