"""The trigger behind a submit that must wait: for a time, or for the first of some batches to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

DWELL = 4.0
"""Seconds before the first event: one that comes sooner can overtake the worker that is still deferring."""


class LaterTrigger(BaseTrigger):
    """Fire at a time, or as soon as one of these batches has ended."""

    def __init__(self, until: str, batches: list[str], conn_id: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.until, self.batches, self.conn_id = until, batches, conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        kwargs = {"until": self.until, "batches": self.batches, "conn_id": self.conn_id}
        return "nightbatch.triggers.later.LaterTrigger", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from nightbatch.triggers.poller import poller

        left = (datetime.fromisoformat(self.until) - datetime.now(UTC)).total_seconds()
        await asyncio.sleep(DWELL)
        if self.batches:
            waits = [asyncio.ensure_future(poller(self.conn_id).wait(one, left)) for one in self.batches]
            await asyncio.wait(waits, timeout=max(0.0, left - DWELL), return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        else:
            await asyncio.sleep(max(0.0, left - DWELL))
        yield TriggerEvent({})
