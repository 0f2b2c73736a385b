"""The trigger that waits for one batch by asking the poller that all of them share."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import (
    BaseTrigger,
    TaskFailedEvent,
    TaskSkippedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)

from nightbatch.airflow.triggers.ending import ending, push
from nightbatch.airflow.triggers.kill import detached, was_killed
from nightbatch.errors import AccountStopped, BatchGone, SettingsError

LAST_LOOK = 10.0


class BatchTrigger(BaseTrigger):
    """Fire once a batch has ended, or is gone.

    :param batch: the batch's id.
    :param conn: the `anthropic` connection.
    :param poll: the longest pause between two looks, in seconds.
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
        self.batch, self.conn, self.poll = batch, conn, poll
        self.deadline, self.cancel_at_deadline, self.cancel_on_fail = (
            deadline,
            cancel_at_deadline,
            cancel_on_fail,
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = (
            "batch",
            "conn",
            "poll",
            "deadline",
            "cancel_at_deadline",
            "cancel_on_fail",
        )
        return "nightbatch.airflow.triggers.batch.BatchTrigger", {
            name: getattr(self, name) for name in names
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            seen = await self._wait()
        except (AccountStopped, SettingsError) as error:
            self.log.error("The wait for batch %s fails: %s", self.batch, error)
            yield ending(self.task_instance, TaskFailedEvent(), {"failed": str(error)})
            return
        if seen is None:
            why = f"batch {self.batch} had not ended at the deadline; it is left alone."
            self.log.warning("Skipped: %s", why)
            yield ending(self.task_instance, TaskSkippedEvent(), {"skipped": why})
            return
        await push(self.task_instance, seen)
        yield ending(self.task_instance, TaskSuccessEvent(), seen)

    async def on_kill(self) -> None:
        """Cancel the batch if its task has failed by somebody's hand; a cleared or moved trigger cancels nothing.

        Airflow cancels this coroutine again within a second, so the work is done in a task of its own.
        """
        if _yes(self.cancel_on_fail):
            await detached(self._kill())

    async def _wait(self) -> dict[str, Any] | None:
        """Return what the batch came to; None: the deadline has passed."""
        from nightbatch.airflow.triggers.shared import poller

        if not self.batch:  # a claim that was given up has none
            return {"batch": "", "counts": {}}
        if self.batch == "None" or not re.fullmatch(r"[\w-]+", self.batch):
            raise SettingsError(
                f"{self.batch!r} is no id of a batch: see what its template pulls, and from where."
            )
        shared, ceiling = poller(self.conn), float(self.poll)
        try:
            try:
                async with asyncio.timeout(self._left()):
                    ended = await shared.wait(self.batch, ceiling)
            except TimeoutError:
                if not _yes(self.cancel_at_deadline):
                    return None
                self.log.warning("Batch %s is cancelled at its deadline.", self.batch)
                await shared.cancel(self.batch)
                ended = await shared.wait(self.batch, ceiling)
        except BatchGone:
            return {"batch": self.batch, "counts": {}, "gone": True}
        return {"batch": self.batch, "counts": ended.counts}

    async def _kill(self) -> None:
        from nightbatch.airflow.triggers.shared import poller

        if await was_killed(self.task_instance):
            await poller(self.conn).cancel(self.batch)
            self.log.warning(
                "Batch %s is cancelled, since its task was marked failed.", self.batch
            )

    def _left(self) -> float | None:
        """Return the seconds until the deadline; a wait that begins after it still looks once at its batch."""
        if not self.deadline or self.deadline == "None":
            return None
        deadline = datetime.fromisoformat(self.deadline)
        left = (
            deadline if deadline.tzinfo else deadline.replace(tzinfo=UTC)
        ) - datetime.now(UTC)
        return left.total_seconds() if left > timedelta(0) else LAST_LOOK


def _yes(given: str) -> bool:
    return str(given).strip().lower() in {"true", "1", "yes"}
