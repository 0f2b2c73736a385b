"""The trigger behind a submit that finds no room in the account's queue: shards wait first come, first served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from nightbatch.airflow.triggers.later import first_event_delay
from nightbatch.deadlines import seconds_until, time_of
from nightbatch.errors import ApiUnavailable
from nightbatch.submit.room.queue import QueuePosition


class RoomTrigger(BaseTrigger):
    """Fire when it is a shard's turn and the queue has room for it.

    Without room it fires at the deadline, and if the queue cannot be read.

    :param after: time (ISO) before which the shard does not enter the waiting line.
    :param place: `order`, `total`, `cap` and `full_until` of the shard's position in the line.
    :param conn_id: the `anthropic` connection.
    :param poll: the longest pause between two reads of the queue, in seconds.
    :param deadline: time (ISO) at which to stop waiting; empty: never.
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
        self.after = after
        self.place = dict(place)
        self.conn_id = conn_id
        self.poll = poll
        self.deadline = deadline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        trigger_kwargs = {
            "after": self.after,
            "place": self.place,
            "conn_id": self.conn_id,
            "poll": self.poll,
            "deadline": self.deadline,
        }
        return "nightbatch.airflow.triggers.room.RoomTrigger", trigger_kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from nightbatch.airflow.triggers.shared import poller, reporting

        seconds_to_start = seconds_until(self.after, datetime.now(UTC)) or 0.0
        await asyncio.sleep(max(first_event_delay(), seconds_to_start))
        queue_position = position_from_kwargs(self.place)
        timeout_seconds = seconds_until(self.deadline, datetime.now(UTC))
        shared_poller = poller(self.conn_id)
        try:
            async with (
                reporting(self, shared_poller, ends_at=time_of(self.deadline)),
                asyncio.timeout(timeout_seconds),
            ):
                await shared_poller.room(queue_position, self.poll)
        except (TimeoutError, ApiUnavailable) as error:
            if isinstance(error, ApiUnavailable):
                # The facts that its task writes say how long it has been tried, and so when to give up.
                self.log.warning("%s The task itself looks at the queue.", error)
            yield TriggerEvent({"admitted": False})
            return
        yield TriggerEvent({"admitted": True})


def position_to_kwargs(position: QueuePosition) -> dict[str, Any]:
    """Write a queue position as plain values."""
    full_until = position.full_until.isoformat() if position.full_until else ""
    return {
        "order": position.order,
        "total": position.total,
        "cap": position.cap,
        "full_until": full_until,
    }


def position_from_kwargs(values: Mapping[str, Any]) -> QueuePosition:
    """Read a queue position back."""
    full_until: datetime | None = None
    if values["full_until"]:
        full_until = datetime.fromisoformat(values["full_until"])
    return QueuePosition(values["order"], values["total"], values["cap"], full_until)
