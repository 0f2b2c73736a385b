"""The poller on a real loop, against the emulator: one client and few requests for any number of waits."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from nightbatch.airflow.client import Connection
from nightbatch.airflow.triggers.shared import poller
from nightbatch.emulator.embedded import running
from nightbatch.emulator.settings import Settings
from nightbatch.errors import AccountStopped, BatchGone, SettingsError
from nightbatch.ids import BatchId
from nightbatch.io.anthropic_sdk.async_batches import batch_of
from nightbatch.ports import Batch, BatchStatus, Page
from nightbatch.submit.room.queue import QueuePosition
from nightbatch.wait.pace import PollTiming
from nightbatch.wait.poller import Poller, log

Messages = Callable[[], list[str]]


def test_all_waits_of_a_connection_share_one_poller(account: Any) -> None:
    async def scenario() -> bool:
        return poller(account.conn) is poller(account.conn)

    assert account.play(scenario)


def test_a_poller_belongs_to_one_loop(account: Any) -> None:
    async def scenario() -> Poller:
        return poller(account.conn)

    assert account.play(scenario) is not account.play(scenario)


def test_one_list_call_answers_for_many_waits(account: Any) -> None:
    batches = [account.send() for _ in range(60)]

    async def scenario() -> tuple[int, int]:
        waits = await account.waits(account.poller(), batches)
        before = account.calls("list")
        await account.ends()
        ended = await asyncio.gather(*waits)
        assert [batch.id for batch in ended] == batches
        return account.calls("list") - before, account.calls("retrieve")

    lists, retrieves = account.play(scenario)
    assert (lists <= 2, retrieves) == (True, 0)


def test_a_batch_that_has_ended_before_the_wait_ends_it_at_once(account: Any) -> None:
    batch = account.send()
    account.end_all()
    ended = account.play(lambda: account.poller().wait(batch, 60.0))
    assert (ended.id, ended.counts["succeeded"]) == (batch, 1)


def test_two_waits_for_one_batch_both_end(account: Any) -> None:
    batch = account.send()

    async def scenario() -> int:
        waits = await account.waits(account.poller(), [batch, batch])
        await account.ends()
        return len({ended.id for ended in await asyncio.gather(*waits)})

    assert account.play(scenario) == 1


def test_batches_behind_many_newer_ones_are_read_by_themselves_and_the_list_is_not_read_for_them(
    account: Any,
) -> None:
    old = account.send()
    for _ in range(25):
        account.send()

    async def scenario() -> tuple[int, int]:
        waits = await account.waits(account.poller(), [old])
        await asyncio.sleep(1.0)
        await account.ends()
        await asyncio.gather(*waits)
        return account.calls("list"), account.calls("retrieve")

    lists, retrieves = account.play(scenario)
    assert lists == 1
    assert retrieves >= 2


def test_a_few_waits_among_many_batches_of_others_take_few_requests(
    account: Any,
) -> None:
    batches = [account.send() for _ in range(60)]

    async def scenario() -> int:
        waits = await account.waits(account.poller(), batches[::12])
        await account.ends()
        await asyncio.gather(*waits)
        return int(account.calls("list"))

    assert account.play(scenario) <= 4


def test_more_pages_are_read_while_awaited_batches_are_older(account: Any) -> None:
    old = [account.send() for _ in range(5)]
    for _ in range(40):
        account.send()

    async def scenario() -> tuple[int, int]:
        waits = await account.waits(account.poller(), old)
        await account.ends()
        await asyncio.gather(*waits)
        return account.calls("list"), account.calls("retrieve")

    lists, retrieves = account.play(scenario)
    assert lists >= 2
    assert retrieves <= 3


@pytest.mark.parametrize(
    "what", ["overloaded", "status", "bad_gateway", "rate_limit", "drop_before"]
)
def test_failures_of_the_api_are_outlived(
    account: Any, what: str, messages: Messages
) -> None:
    batch = account.send()
    account.emulator.faults(
        {"where": "list", "what": what, "count": 2, "retry_after": 0}
    )
    account.end_all()
    assert account.play(lambda: account.poller().wait(batch, account.ceiling)).ended
    assert any("Looking again" in message for message in messages())


def test_while_the_api_asks_for_a_pause_nobody_asks_it(account: Any) -> None:
    batches = [account.send() for _ in range(3)]
    account.emulator.faults(
        {"where": "list", "what": "rate_limit", "count": 1, "retry_after": 1}
    )

    async def scenario() -> int:
        poller = account.poller()
        waits = [
            asyncio.ensure_future(poller.wait(batch, account.ceiling))
            for batch in batches
        ]
        await asyncio.sleep(0.8)
        calls: int = account.calls("list") + account.calls("retrieve")
        await account.ends()
        await asyncio.gather(*waits)
        return calls

    assert account.play(scenario) == 1


def test_a_batch_that_is_unknown_for_a_moment_is_not_given_up(account: Any) -> None:
    batch = account.send()
    for _ in range(25):
        account.send()
    account.emulator.faults({"where": "retrieve", "what": "not_found", "count": 2})
    account.end_all()
    assert account.play(lambda: account.poller().wait(batch, account.ceiling)).ended


def test_a_batch_that_stays_unknown_is_gone(account: Any) -> None:
    with pytest.raises(BatchGone):
        account.play(lambda: account.poller().wait("msgbatch_unknown", account.ceiling))


def test_one_bad_batch_never_stops_the_others(account: Any) -> None:
    good = account.send()

    async def scenario() -> Any:
        poller = account.poller()
        waits = await account.waits(poller, ["msgbatch_unknown", good, "no such id"])
        await account.ends()
        return await asyncio.gather(*waits, return_exceptions=True)

    bad, ended, worse = account.play(scenario)
    assert ended.id == good
    assert isinstance(bad, BatchGone)
    assert isinstance(worse, BatchGone)


@pytest.mark.parametrize("ceiling", [0.0, -1.0, float("nan"), 1e300])
def test_one_wait_with_a_foolish_pause_never_stops_the_others(
    account: Any, ceiling: float
) -> None:
    good, other = account.send(), account.send()

    async def scenario() -> Any:
        poller = account.poller()
        foolish = asyncio.ensure_future(poller.wait(other, ceiling))
        waits = await account.waits(poller, [good])
        await account.ends()
        return [
            (await asyncio.gather(*waits))[0].id,
            (await asyncio.gather(foolish, return_exceptions=True))[0],
        ]

    ended, outcome = account.play(scenario)
    assert ended == good
    assert isinstance(outcome, SettingsError) or outcome.id == other


def test_however_many_stand_in_line_the_queue_is_looked_at_once_a_second(
    account: Any,
) -> None:
    account.send(10)
    pace = PollTiming(soonest=0.5, linger=0.1)

    async def scenario() -> int:
        poller = Poller(Connection(account.conn, pace), pace)
        waits = []
        for number in range(40):
            waits.append(
                asyncio.ensure_future(
                    poller.room(QueuePosition(f"{number:02}", 5, 10), account.ceiling)
                )
            )
            await asyncio.sleep(0.02)
        looks: int = account.calls("list")
        for wait in waits:
            wait.cancel()
        return looks

    assert account.play(scenario) <= 5


class NotClosing:
    """A client that sees one batch ended, and cannot be closed."""

    def __init__(self, batch: BatchId) -> None:
        self._batch = Batch(
            batch, datetime.now(UTC), ended=True, counts={"succeeded": 1}
        )

    async def page(self, after: BatchId | None, limit: int) -> Page:
        return Page([self._batch], None)

    async def batch(self, batch: BatchId) -> BatchStatus:
        return BatchStatus(self._batch)

    async def cancel(self, batch: BatchId) -> None:
        """Leave it as it is."""

    async def close(self) -> None:
        raise RuntimeError("the connection was lost")


def test_a_client_that_cannot_be_closed_holds_nobody_up(account: Any) -> None:
    async def scenario() -> list[str]:
        connection = Connection(
            account.conn,
            account.pace,
            make=lambda *_: ("made", NotClosing(BatchId("msgbatch_1"))),
        )
        poller, ended = Poller(connection, account.pace), []
        for _ in range(2):
            ended.append((await poller.wait("msgbatch_1", account.ceiling)).id)
            await asyncio.sleep(3 * account.pace.linger)
        return ended

    assert account.play(scenario) == ["msgbatch_1"] * 2


def test_a_time_without_a_zone_is_read_as_utc() -> None:
    told = b'{"id": "msgbatch_1", "created_at": "2026-11-21T00:00:00", "processing_status": "in_progress"}'
    assert batch_of(told).created_at == datetime(2026, 11, 21, tzinfo=UTC)


def test_a_platform_without_batches_is_named_in_the_log(
    account: Any, messages: Messages
) -> None:
    account.connect(account.emulator.url, extra={"platform": "bedrock"})

    async def scenario() -> Any:
        return await account.poller().wait("msgbatch_1", account.ceiling)

    with pytest.raises(SettingsError, match="has no message batches"):
        account.play(scenario)
    assert any(
        "platform 'bedrock' has no message batches" in message for message in messages()
    )


def test_a_batch_that_alone_cannot_be_read_never_stops_the_others(account: Any) -> None:
    odd = account.send()
    for _ in range(25):
        account.send()
    good = account.send()
    account.emulator.faults(
        {"where": "retrieve", "what": "status", "match": {"batch": odd}, "count": 2}
    )

    async def scenario() -> Any:
        waits = await account.waits(account.poller(), [odd, good])
        await account.ends()
        return [batch.id for batch in await asyncio.gather(*waits)]

    assert account.play(scenario) == [odd, good]


def test_a_key_that_was_changed_is_picked_up(account: Any) -> None:
    settings = Settings(api_keys=frozenset({"sk-new"}))
    with running(settings) as strict:
        account.connect(strict.url, "sk-old")

        async def scenario() -> Any:
            wait = asyncio.ensure_future(
                account.poller().wait("msgbatch_unknown", account.ceiling)
            )
            await asyncio.sleep(0.3)
            account.connect(strict.url, "sk-new")
            return await wait

        with pytest.raises(BatchGone):
            account.play(scenario)


def test_a_connection_that_was_changed_is_picked_up_without_a_failure(
    account: Any,
) -> None:
    batch = account.send()
    pace = PollTiming(soonest=0.05, gone=30, connection=0.1)
    with running(Settings()) as elsewhere:
        account.connect(elsewhere.url)

        async def scenario() -> Any:
            poller = Poller(Connection(account.conn, pace), pace)
            wait = asyncio.ensure_future(poller.wait(batch, account.ceiling))
            await asyncio.sleep(0.3)
            account.connect(account.emulator.url)
            await account.ends()
            return await wait

        assert account.play(scenario).id == batch


def test_an_account_that_stays_refused_fails_all_waits(account: Any) -> None:
    batches = [account.send() for _ in range(3)]
    account.emulator.faults({"where": "list", "what": "unauthorized"})

    async def scenario() -> Any:
        poller = account.poller()
        waits = [poller.wait(batch, account.ceiling) for batch in batches]
        return await asyncio.gather(*waits, return_exceptions=True)

    assert [type(outcome) for outcome in account.play(scenario)] == [AccountStopped] * 3


def test_a_connection_that_is_not_there_fails_the_wait(account: Any) -> None:
    async def scenario() -> Any:
        return await Poller(Connection("nowhere", account.pace), account.pace).wait(
            "msgbatch_x", account.ceiling
        )

    with pytest.raises(SettingsError, match="there is no connection 'nowhere'"):
        account.play(scenario)


def test_the_client_is_closed_when_nobody_waits_and_made_again_when_somebody_does(
    account: Any,
) -> None:
    batch = account.send()
    account.end_all()

    async def scenario() -> list[bool]:
        connection = Connection(account.conn, account.pace)
        poller = Poller(connection, account.pace)
        open_ = []
        for _ in range(2):
            await poller.wait(batch, account.ceiling)
            open_.append(connection.is_open)
            await asyncio.sleep(3 * account.pace.linger)
            open_.append(connection.is_open)
        return open_

    assert account.play(scenario) == [True, False, True, False]


def test_a_wait_that_is_given_up_is_not_looked_at_any_more(account: Any) -> None:
    batch = account.send()

    async def scenario() -> int:
        (wait,) = await account.waits(account.poller(), [batch])
        wait.cancel()
        await asyncio.sleep(0.3)
        before = account.calls("list")
        await asyncio.sleep(0.5)
        return int(account.calls("list")) - int(before)

    assert account.play(scenario) == 0


def test_canceling_outlives_failures_of_the_api(account: Any) -> None:
    batch = account.send()
    account.emulator.faults({"where": "cancel", "what": "overloaded", "count": 2})
    account.play(lambda: account.poller().cancel(batch))
    assert account.emulator.books()["batches"].get("canceling") == 1


def test_what_the_poller_logs_belongs_to_no_single_wait(account: Any) -> None:
    owner: contextvars.ContextVar[str] = contextvars.ContextVar(
        "owner", default="nobody"
    )
    owners: list[str] = []
    account.emulator.faults({"where": "list", "what": "overloaded", "count": 1})
    batch = account.send()
    account.end_all()

    class Witness(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            owners.append(owner.get())

    async def scenario() -> None:
        owner.set("the first trigger")
        await account.poller().wait(batch, account.ceiling)

    witness = Witness()
    log.addHandler(witness)
    try:
        account.play(scenario)
    finally:
        log.removeHandler(witness)
    assert owners == ["nobody"]


def test_a_thousand_waits_never_hold_up_the_loop(
    account: Any, messages: Messages
) -> None:
    """Each request takes a second, and asyncio's debug mode tells of what holds the loop for half of one."""
    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(lambda _: account.send(), range(1_100)))
    account.emulator.faults({"where": "list", "what": "delay", "seconds": 1})

    async def scenario() -> None:
        waits = await account.waits(account.poller(), batches)
        await asyncio.sleep(1.5)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    assert smooth(account, scenario, messages)
    assert account.calls("retrieve") == 0


def smooth(
    account: Any, scenario: Callable[[], Awaitable[None]], messages: Messages
) -> bool:
    """Tell whether nothing of ours is slow; what blocks is so in each try, what waits for the machine is not."""
    for _ in range(4):
        before = len(messages())
        account.play(scenario, debug=True)
        slow = [
            message
            for message in messages()[before:]
            if message.startswith("Executing <")
        ]
        if not any("/nightbatch/" in message for message in slow):
            return True
    return False
