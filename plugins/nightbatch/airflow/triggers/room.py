"""The trigger behind a submit that finds no room in the account's queue: it stands in line with all others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from nightbatch.airflow.triggers.later import dwell
from nightbatch.submit.queue import Place


class RoomTrigger(BaseTrigger):
    """Fire when there is room in the queue for a shard, in its turn; or at the deadline, without.

    :param after: not to stand in line before this time (ISO).
    :param place: `order`, `total`, `cap` and `full_until` of the shard's place.
    :param conn_id: the `anthropic` connection.
    :param poll: the longest pause between two looks at the queue, in seconds.
    :param deadline: time (ISO) at which to give up; empty: never.
    """

    def __init__(
        self,
        after: str,
        place: Mapping[str, Any],
        conn_id: str,
        poll: float,
        deadline: str = "",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.after, self.place, self.conn_id, self.poll, self.deadline = (
            after,
            dict(place),
            conn_id,
            poll,
            deadline,
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("after", "place", "conn_id", "poll", "deadline")
        return "nightbatch.airflow.triggers.room.RoomTrigger", {
            name: getattr(self, name) for name in names
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from nightbatch.airflow.triggers.shared import poller

        await asyncio.sleep(max(dwell(), _left(self.after) or 0.0))
        try:
            async with asyncio.timeout(_left(self.deadline)):
                await poller(self.conn_id).room(place_of(self.place), self.poll)
        except TimeoutError:
            yield TriggerEvent({"admitted": False})
            return
        yield TriggerEvent({"admitted": True})


def as_kwargs(place: Place) -> dict[str, Any]:
    """Write a place as plain values."""
    until = place.full_until.isoformat() if place.full_until else ""
    return {
        "order": place.order,
        "total": place.total,
        "cap": place.cap,
        "full_until": until,
    }


def place_of(given: Mapping[str, Any]) -> Place:
    """Read a place back."""
    until = datetime.fromisoformat(given["full_until"]) if given["full_until"] else None
    return Place(given["order"], given["total"], given["cap"], until)


def _left(until: str) -> float | None:
    return (
        (datetime.fromisoformat(until) - datetime.now(UTC)).total_seconds()
        if until
        else None
    )
