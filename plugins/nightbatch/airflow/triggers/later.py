"""The trigger behind a submit that must wait: for a time, or for the first of some batches to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

DWELL_SECONDS = 3.0
"""Beyond the executor's heartbeat, before the first event: one that comes sooner can overtake the report of the worker
that has deferred, and Airflow would fail the task."""
HEARTBEAT_SECONDS = 5.0
"""Airflow's default of `[workers] min_heartbeat_interval`."""
CEILING = 60.0


def dwell() -> float:
    """Return the seconds after which a trigger may fire on a task that has deferred from a worker."""
    from airflow.sdk.configuration import conf

    heartbeat: float = conf.getfloat(
        "workers", "min_heartbeat_interval", fallback=HEARTBEAT_SECONDS
    )
    return heartbeat + DWELL_SECONDS


class LaterTrigger(BaseTrigger):
    """Fire at a time, or as soon as one of these batches has ended or is gone."""

    def __init__(self, until: str, batches: list[str], conn_id: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.until, self.batches, self.conn_id = until, batches, conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        kwargs = {"until": self.until, "batches": self.batches, "conn_id": self.conn_id}
        return "nightbatch.airflow.triggers.later.LaterTrigger", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from nightbatch.airflow.triggers.shared import poller

        await asyncio.sleep(dwell())
        left = max(
            0.0,
            (datetime.fromisoformat(self.until) - datetime.now(UTC)).total_seconds(),
        )
        if self.batches:
            shared = poller(self.conn_id)
            waits = [
                asyncio.ensure_future(shared.wait(one, CEILING)) for one in self.batches
            ]
            try:
                await asyncio.wait(
                    waits, timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                for wait in waits:
                    wait.cancel()
                await asyncio.gather(*waits, return_exceptions=True)
        else:
            await asyncio.sleep(left)
        yield TriggerEvent({})
