"""The triggers by themselves: what they fire, and when they cancel."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, task
from airflow.triggers.base import BaseTrigger, TriggerEvent

from nightbatch.airflow.sensors.batch import BatchSensor
from nightbatch.airflow.triggers.batch import BatchTrigger
from nightbatch.airflow.triggers.later import LaterTrigger, first_event_delay
from nightbatch.airflow.triggers.room import RoomTrigger

LogLines = Callable[[], list[str]]


def at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def fired(trigger: Any) -> Any:
    async for event in trigger.run():
        assert isinstance(event, TriggerEvent)
        return event.payload
    raise AssertionError("nothing was fired")


def trigger(account: Any, batch: str, **more: str) -> BatchTrigger:
    return BatchTrigger(batch, account.conn, str(account.ceiling), **more)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing take long."""
    for name, seconds in {
        "SOONEST": 0.05,
        "GONE": 0.3,
        "LINGER": 0.1,
        "REFUSED": 0.3,
        "MOST": 0.2,
        "TROUBLE": 0.1,
        "UNREAD": 0.5,
    }.items():
        monkeypatch.setenv(f"NIGHTBATCH_POLL_{name}_SECONDS", str(seconds))
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "1")


@pytest.fixture
def log_lines(capsys: pytest.CaptureFixture[str]) -> LogLines:
    """Return a way to read what triggers have logged: Airflow prints it."""
    printed: list[str] = []

    def read() -> list[str]:
        printed.extend(capsys.readouterr().out.splitlines())
        return printed

    return read


def test_an_ended_batch_is_told_with_its_counts(account: Any) -> None:
    batch = account.send(3)
    account.end_all()
    seen = account.play(lambda: fired(trigger(account, batch)))
    assert (seen["batch"], seen["counts"]["succeeded"]) == (batch, 3)


def test_a_batch_that_is_gone_ends_the_wait_so_that_land_can_say_so(
    account: Any,
) -> None:
    assert (
        account.play(lambda: fired(trigger(account, "msgbatch_unknown")))["gone"]
        is True
    )


def test_a_claim_that_was_given_up_is_not_waited_for(account: Any) -> None:
    assert account.play(lambda: fired(trigger(account, "")))["batch"] == ""
    assert account.calls("list") == 0


def test_a_refused_account_fails_the_wait_with_its_reason(account: Any) -> None:
    account.emulator.faults({"where": "list", "what": "permission"})
    assert (
        "403" in account.play(lambda: fired(trigger(account, account.send())))["failed"]
    )


def test_expiry_is_an_outcome(account: Any) -> None:
    account.emulator.faults({"where": "batch", "what": "never_ends"})
    batch = account.send(10)
    account.emulator.advance(25 * 3_600)
    seen = account.play(lambda: fired(trigger(account, batch)))
    assert seen["counts"]["expired"] > 0


def test_at_the_deadline_the_batch_is_canceled_and_its_end_awaited(
    account: Any,
) -> None:
    batch = account.send(4)

    async def scenario() -> Any:
        wait = asyncio.ensure_future(fired(trigger(account, batch, deadline=at(0.3))))
        while not account.emulator.books()["batches"].get("canceling"):
            await asyncio.sleep(0.05)
        await account.ends()
        return await wait

    assert account.play(scenario)["counts"]["canceled"] > 0


def test_at_the_deadline_another_runs_batch_is_left_alone(account: Any) -> None:
    batch = account.send()
    seen = account.play(
        lambda: fired(
            trigger(account, batch, deadline=at(0.2), cancel_at_deadline="False")
        )
    )
    assert "deadline" in seen["skipped"]
    assert account.calls("cancel") == 0


def test_a_wait_that_begins_after_the_deadline_still_sees_that_the_batch_has_ended(
    account: Any,
) -> None:
    batch = account.send(2)
    account.end_all()
    seen = account.play(
        lambda: fired(
            trigger(account, batch, deadline=at(-60), cancel_at_deadline="False")
        )
    )
    assert seen["counts"]["succeeded"] == 2
    assert account.calls("cancel") == 0


def test_a_deadline_without_a_zone_is_in_utc(account: Any) -> None:
    batch = account.send()
    account.end_all()
    naive = at(3_600).removesuffix("+00:00")
    assert (
        account.play(lambda: fired(trigger(account, batch, deadline=naive)))["counts"][
            "succeeded"
        ]
        == 1
    )


@pytest.mark.parametrize(
    "given", ["None", "{{ params.batch }}", "../v1/models", "msgbatch_1 "]
)
def test_what_is_no_id_fails_the_wait_at_once_and_is_not_asked_for(
    account: Any, given: str
) -> None:
    assert (
        "is no id of a batch"
        in account.play(lambda: fired(trigger(account, given)))["failed"]
    )
    assert account.calls("list") + account.calls("retrieve") == 0


def test_a_foolish_pause_fails_the_wait_with_its_reason(account: Any) -> None:
    seen = account.play(
        lambda: fired(BatchTrigger(account.send(), account.conn, "nan"))
    )
    assert "more than 0 seconds" in seen["failed"]


def test_a_killed_wait_cancels_nothing_unless_it_is_told_to(account: Any) -> None:
    account.play(trigger(account, account.send()).on_kill)
    assert account.calls("cancel") == 0


def test_a_trigger_is_made_again_from_what_it_serialises(account: Any) -> None:
    path, kwargs = trigger(
        account, "msgbatch_1", deadline=at(60), cancel_on_fail="True"
    ).serialize()
    assert path == "nightbatch.airflow.triggers.batch.BatchTrigger"
    assert BatchTrigger(**kwargs).serialize() == (path, kwargs)


def test_a_wait_for_some_batches_ends_with_the_first_but_never_before_the_worker_has_deferred(
    account: Any,
) -> None:
    ended = account.send()
    account.end_all()
    running = account.send()

    async def scenario() -> float:
        start = asyncio.get_running_loop().time()
        await fired(LaterTrigger(at(20), [running, ended], account.conn))
        return asyncio.get_running_loop().time() - start

    assert 4 <= account.play(scenario) < 8


def test_a_trigger_dwells_longer_than_the_executor_takes_to_hear_of_a_deferral(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL")
    assert first_event_delay() == 8
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "12")
    assert first_event_delay() == 15


def test_room_is_waited_for_until_the_deadline(account: Any) -> None:
    account.send(10)
    place = {"order": "a", "total": 5, "cap": 10, "full_until": ""}
    waiting = RoomTrigger(at(0), place, account.conn, account.ceiling, at(4.5))
    assert account.play(lambda: fired(waiting)) == {"admitted": False}


def test_room_is_found_when_the_batches_before_have_ended(account: Any) -> None:
    account.send(10)
    place = {"order": "a", "total": 5, "cap": 10, "full_until": ""}

    async def scenario() -> Any:
        wait = asyncio.ensure_future(
            fired(RoomTrigger(at(0), place, account.conn, account.ceiling))
        )
        await asyncio.sleep(4.5)
        assert not wait.done()
        await account.ends()
        return await wait

    assert account.play(scenario) == {"admitted": True}


def dead(account: Any) -> str:
    """Point the connection at a port where nothing listens, and return its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        host, port = listener.getsockname()
    account.connect(f"http://{host}:{port}")
    return f"{host}:{port}"


async def begun(waiting: BaseTrigger, log_lines: LogLines, words: str) -> str:
    """Let a trigger wait until it has logged these words; return the line."""
    wait = asyncio.ensure_future(fired(waiting))
    while not (lines := [line for line in log_lines() if words in line]):
        await asyncio.sleep(0.05)
    wait.cancel()
    return lines[0]


def test_a_wait_that_cannot_read_the_api_says_where_since_when_and_until_when(
    account: Any, log_lines: LogLines
) -> None:
    address = dead(account)
    waiting: Any = trigger(account, "msgbatch_1")
    waiting.timeout_after = datetime(2126, 11, 22, 2, 0, tzinfo=UTC)
    line = account.play(lambda: begun(waiting, log_lines, "Not read since"))
    assert f"the API at {address} could not be read" in line
    assert "It is tried until 2126-11-22 02:00 UTC." in line
    assert "canceled" not in line


def test_it_says_when_its_batches_will_be_canceled(
    account: Any, log_lines: LogLines
) -> None:
    dead(account)
    deadline = "2126-11-21T12:00:00"
    waiting = trigger(account, "msgbatch_1", deadline=deadline)
    line = account.play(lambda: begun(waiting, log_lines, "Not read since"))
    words = "It is tried until it answers. At the deadline, 2126-11-21 12:00 UTC, its batches are canceled."
    assert words in line


def test_it_says_when_the_api_can_be_read_again(
    account: Any, log_lines: LogLines
) -> None:
    batch = account.send()
    account.emulator.faults(
        {"where": "list", "what": "overloaded", "count": 4, "retry_after": 0}
    )
    waiting = trigger(account, batch)
    account.play(lambda: begun(waiting, log_lines, "The API can be read again."))


def test_who_waits_for_room_goes_back_to_its_task_if_the_queue_cannot_be_read(
    account: Any, log_lines: LogLines
) -> None:
    address = dead(account)
    place = {"order": "a", "total": 5, "cap": 10, "full_until": ""}
    waiting = RoomTrigger(at(0), place, account.conn, account.ceiling, at(60))
    assert account.play(lambda: fired(waiting)) == {"admitted": False}
    assert any(
        address in line and "The task itself looks" in line for line in log_lines()
    )


def test_the_sensor_takes_the_output_of_another_task() -> None:
    with DAG("waits", schedule=None):

        @task
        def submit() -> str:
            return "msgbatch_1"

        wait = BatchSensor(task_id="wait", batch=submit())
    assert (
        wait.batch
        == "{{ ti.xcom_pull(task_ids='submit', key='return_value', map_indexes=ti.map_index) }}"
    )
    assert wait.upstream_task_ids == {"submit"}


def test_the_sensor_starts_in_the_triggerer_with_a_limit_to_its_wait() -> None:
    wait = BatchSensor(task_id="wait", batch="msgbatch_1", poll=30)
    args = wait.start_trigger_args
    assert wait.start_from_trigger
    assert args.timeout == timedelta(hours=26)
    assert BatchTrigger(**(args.trigger_kwargs or {})).poll == "30"
