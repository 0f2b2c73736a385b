"""The trigger behind a submit that must wait: for a time, or for the first of some batches to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from nightbatch.deadlines import seconds_until, time_of

DELAY_SECONDS = 3.0
"""Waited beyond the executor's heartbeat before the first event: an earlier event can overtake the report of the worker
that has deferred, and Airflow would fail the task."""
HEARTBEAT_SECONDS = 5.0
"""Airflow's default of `[workers] min_heartbeat_interval`."""
LONGEST_PAUSE_SECONDS = 60.0
"""Between two reads of a batch."""


def first_event_delay() -> float:
    """Return the seconds after which a trigger may fire on a task that has deferred from a worker."""
    from airflow.sdk.configuration import conf

    heartbeat_seconds: float = conf.getfloat(
        "workers", "min_heartbeat_interval", fallback=HEARTBEAT_SECONDS
    )
    return heartbeat_seconds + DELAY_SECONDS


class LaterTrigger(BaseTrigger):
    """Fire at a time, or as soon as one of these batches has ended or is gone."""

    def __init__(self, until: str, batches: list[str], conn_id: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.until = until
        self.batches = batches
        self.conn_id = conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        trigger_kwargs = {
            "until": self.until,
            "batches": self.batches,
            "conn_id": self.conn_id,
        }
        return "nightbatch.airflow.triggers.later.LaterTrigger", trigger_kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(first_event_delay())
        seconds_left = seconds_until(self.until, datetime.now(UTC))
        timeout_seconds = max(0.0, seconds_left or 0.0)
        if self.batches:
            await self._wait_for_first(timeout_seconds)
        else:
            await asyncio.sleep(timeout_seconds)
        yield TriggerEvent({})

    async def _wait_for_first(self, timeout_seconds: float) -> None:
        """Wait until the first batch has ended or is gone, or until the time is over."""
        from nightbatch.airflow.triggers.shared import poller, reporting

        shared_poller = poller(self.conn_id)
        batch_waits = [
            asyncio.ensure_future(shared_poller.wait(batch_id, LONGEST_PAUSE_SECONDS))
            for batch_id in self.batches
        ]
        try:
            async with reporting(self, shared_poller, ends_at=time_of(self.until)):
                await asyncio.wait(
                    batch_waits,
                    timeout=timeout_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            for batch_wait in batch_waits:
                batch_wait.cancel()
            await asyncio.gather(*batch_waits, return_exceptions=True)
