"""The trigger that waits for one batch, through the poller that all triggers of a connection share."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import (
    BaseTrigger,
    TaskFailedEvent,
    TaskSkippedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)

from nightbatch.airflow.triggers.ending import ending, push
from nightbatch.airflow.triggers.kill import detached, was_killed
from nightbatch.deadlines import seconds_to_wait, time_of
from nightbatch.errors import AccountStopped, BatchGone, SettingsError

if TYPE_CHECKING:
    from nightbatch.ports import Batch
    from nightbatch.wait.poller import Poller


class BatchTrigger(BaseTrigger):
    """Fire once a batch has ended, or is gone.

    :param batch: the batch's id.
    :param conn: the `anthropic` connection.
    :param poll: the longest pause between two reads of the batch, in seconds.
    :param deadline: time (ISO) at which the wait is cut short; empty: never.
    :param cancel_at_deadline: cancel the batch then and wait for its end; else the task is skipped.
    :param cancel_on_fail: cancel the batch when its task is marked failed, or its run fails.
    """

    def __init__(
        self,
        batch: str,
        conn: str,
        poll: str,
        deadline: str = "",
        cancel_at_deadline: str = "True",
        cancel_on_fail: str = "False",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.batch = batch
        self.conn = conn
        self.poll = poll
        self.deadline = deadline
        self.cancel_at_deadline = cancel_at_deadline
        self.cancel_on_fail = cancel_on_fail

    def serialize(self) -> tuple[str, dict[str, Any]]:
        trigger_kwargs = {
            "batch": self.batch,
            "conn": self.conn,
            "poll": self.poll,
            "deadline": self.deadline,
            "cancel_at_deadline": self.cancel_at_deadline,
            "cancel_on_fail": self.cancel_on_fail,
        }
        return "nightbatch.airflow.triggers.batch.BatchTrigger", trigger_kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            batch_result = await self._wait()
        except (AccountStopped, SettingsError) as error:
            self.log.error("The wait for batch %s fails: %s", self.batch, error)
            yield ending(self.task_instance, TaskFailedEvent(), {"failed": str(error)})
            return
        if batch_result is None:
            skip_reason = (
                f"batch {self.batch} had not ended at the deadline; it is left alone."
            )
            self.log.warning("Skipped: %s", skip_reason)
            skip_payload = {"skipped": skip_reason}
            yield ending(self.task_instance, TaskSkippedEvent(), skip_payload)
            return
        await push(self.task_instance, batch_result)
        yield ending(self.task_instance, TaskSuccessEvent(), batch_result)

    async def on_kill(self) -> None:
        """Cancel the batch if a person has failed its task; a cleared or moved trigger cancels nothing.

        Airflow cancels this coroutine again within a second, so the work is done in a task of its own.
        """
        if _is_true(self.cancel_on_fail):
            await detached(self._kill())

    async def _wait(self) -> dict[str, Any] | None:
        """Return what the task returns; None: the deadline has passed."""
        if not self.batch:  # a claim that was given up has none
            return {"batch": "", "counts": {}}
        if self.batch == "None" or not re.fullmatch(r"[\w-]+", self.batch):
            raise SettingsError(
                f"{self.batch!r} is no id of a batch: see what its template pulls, and from where."
            )
        try:
            ended_batch = await self._wait_for_end()
        except BatchGone:
            return {"batch": self.batch, "counts": {}, "gone": True}
        if ended_batch is None:
            return None
        return {"batch": self.batch, "counts": ended_batch.counts}

    async def _wait_for_end(self) -> Batch | None:
        """Return the ended batch; None: the deadline has passed and the batch is not canceled. Raises BatchGone."""
        from nightbatch.airflow.triggers.shared import poller, reporting

        shared_poller = poller(self.conn)
        # A template renders a deadline that is not set as this word.
        deadline = "" if self.deadline == "None" else self.deadline
        deadline_time = time_of(deadline)
        if _is_true(self.cancel_at_deadline):
            report = reporting(self, shared_poller, cancels_at=deadline_time)
        else:
            report = reporting(self, shared_poller, ends_at=deadline_time)
        async with report:
            return await self._ended_or_late(shared_poller, deadline)

    async def _ended_or_late(
        self, shared_poller: Poller, deadline: str
    ) -> Batch | None:
        longest_pause = float(self.poll)
        timeout_seconds = seconds_to_wait(deadline, datetime.now(UTC))
        try:
            async with asyncio.timeout(timeout_seconds):
                return await shared_poller.wait(self.batch, longest_pause)
        except TimeoutError:
            if not _is_true(self.cancel_at_deadline):
                return None
        self.log.warning("Batch %s is canceled at its deadline.", self.batch)
        await shared_poller.cancel(self.batch)
        return await shared_poller.wait(self.batch, longest_pause)

    async def _kill(self) -> None:
        from nightbatch.airflow.triggers.shared import poller

        if await was_killed(self.task_instance):
            await poller(self.conn).cancel(self.batch)
            self.log.warning(
                "Batch %s is canceled, since its task was marked failed.", self.batch
            )


def _is_true(rendered_flag: str) -> bool:
    return str(rendered_flag).strip().lower() in {"true", "1", "yes"}
