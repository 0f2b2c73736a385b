"""Waiting for all batches of an attempt at once, and what the log says meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nightbatch.errors import AccountStopped
from nightbatch.ids import BatchId, Snapshot
from nightbatch.ports import Batch
from nightbatch.spec.rules import Rules
from nightbatch.spec.run_ref import RunRef
from nightbatch.wait import follow
from nightbatch.wait.follow import Follower
from nightbatch.wait.progress import AwaitedBatch, Progress

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
REF = RunRef(
    "s3://lake/state/",
    "s3://lake/out/",
    "dt=1",
    Snapshot("0" * 16),
    "dag/run",
    1,
    1,
    Rules(poll_seconds=0.2),
)


def awaited(
    name: str, *, requests: int = 1, is_own: bool = True, age: float = 60
) -> AwaitedBatch:
    return AwaitedBatch(BatchId(name), NOW - timedelta(seconds=age), requests, is_own)


def following(
    account: Any,
    lines: list[str],
    *batches: AwaitedBatch,
    deadline: float | None = None,
) -> Follower:
    """Make what waits for batches in the running loop. `deadline`: seconds from now."""
    until = (
        ""
        if deadline is None
        else (datetime.now(UTC) + timedelta(seconds=deadline)).isoformat()
    )
    return Follower(
        replace(REF, deadline=until), Progress(batches), account.poller(), lines.append
    )


def test_all_batches_are_waited_for_with_few_calls(account: Any) -> None:
    lines = list[str]()
    batches = [awaited(account.send(2), requests=2) for _ in range(50)]

    async def scenario() -> Any:
        wait = asyncio.ensure_future(following(account, lines, *batches).run())
        await asyncio.sleep(0.3)
        assert not wait.done()
        await account.ends()
        return await wait

    ended = account.play(scenario)
    assert ended.keys() == {batch.id for batch in batches}
    assert account.calls("retrieve") == 0
    assert lines[-1] == "50 of 50 batches ended (100 requests in all); 100 succeeded."


def test_a_batch_that_is_gone_keeps_nobody_waiting_and_is_counted(account: Any) -> None:
    lines = list[str]()
    here = account.send()
    account.end_all()
    gone = awaited("msgbatch_unknown")
    ended = account.play(lambda: following(account, lines, awaited(here), gone).run())
    assert ended[gone.id] is None
    assert "1 batch is gone" in lines[-1]


def test_at_the_deadline_only_the_runs_own_batches_are_canceled_and_their_end_is_awaited(
    account: Any,
) -> None:
    own, other = account.send(3), account.send(3)
    lines = list[str]()

    async def scenario() -> Any:
        batches = awaited(own), awaited(other, is_own=False)
        wait = asyncio.ensure_future(
            following(account, lines, *batches, deadline=0.3).run()
        )
        while not account.emulator.books()["batches"].get("canceling"):
            await asyncio.sleep(0.05)
        await account.ends()
        return await wait

    ended = account.play(scenario)
    assert ended[BatchId(own)].counts["canceled"] > 0
    assert account.calls("cancel") == 1
    assert "deadline" in lines[0]


def test_at_the_deadline_the_batches_of_other_runs_are_waited_for_no_longer(
    account: Any,
) -> None:
    other = awaited(account.send(), is_own=False)
    assert account.play(lambda: following(account, [], other, deadline=0.3).run()) == {}
    assert account.calls("cancel") == 0


def test_a_wait_that_begins_after_the_deadline_sees_what_has_ended_and_cancels_nothing(
    account: Any,
) -> None:
    batch = account.send()
    account.end_all()
    ended = account.play(
        lambda: following(account, [], awaited(batch), deadline=-60).run()
    )
    assert ended.keys() == {batch}
    assert account.calls("cancel") == 0


def test_a_refused_account_ends_the_wait(account: Any) -> None:
    account.emulator.faults({"where": "list", "what": "permission"})
    batch = account.send()
    with pytest.raises(AccountStopped):
        account.play(lambda: following(account, [], awaited(batch)).run())


def test_how_far_the_batches_are_is_said_now_and_then(
    account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "PROGRESS_SECONDS", 0.2)
    lines = list[str]()
    batch = account.send()

    async def scenario() -> Any:
        wait = asyncio.ensure_future(following(account, lines, awaited(batch)).run())
        while len(lines) < 2:
            await asyncio.sleep(0.05)
        await account.ends()
        return await wait

    account.play(scenario)
    assert lines[0].startswith("0 of 1 batch ended (1 request in all)")


def test_what_is_said_names_counts_age_and_expected_end() -> None:
    batches = (
        awaited("a", requests=100, age=3_600),
        awaited("b", requests=50, age=600),
        awaited("c", requests=50),
    )
    progress = Progress(
        batches, [timedelta(minutes=minutes) for minutes in (40, 70, 55)]
    )
    ended = Batch(BatchId("a"), NOW, ended=True, counts={"succeeded": 98, "errored": 2})
    assert progress.words({BatchId("a"): ended}, NOW) == (
        "1 of 3 batches ended (200 requests in all); 98 succeeded, 2 errored; the oldest that runs was created "
        "10 minutes ago; expected to end about 2026-11-21 03:54 UTC "
        "(the last 3 batches of this target took 55 minutes)."
    )


def test_without_a_history_no_end_is_promised() -> None:
    assert "not known yet" in Progress([awaited("a")]).words({}, NOW)
