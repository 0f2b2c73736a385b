"""The trigger that waits for a partition's input by listing its folder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from airflow.triggers.base import (
    BaseTrigger,
    TaskFailedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)

from nightbatch.airflow.triggers.ending import ending
from nightbatch.errors import SettingsError, StoreError

FIELDS = (
    "partition",
    "key",
    "source",
    "wait_for",
    "conn",
    "hours",
    "poll",
    "still",
    "run_name",
)
"""What the trigger is told, all of it text: a template of the sensor renders each."""

SCHEDULED = "scheduled__"
"""How Airflow begins the id of a run that the clock has started."""


class InputTrigger(BaseTrigger):
    """Fire once a partition has its marker or, where any will do, Parquet files that are still; fail after `hours`.

    Fire at once in a run that the clock did not start.
    """

    def __init__(self, **given: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.partition, self.key, self.source, self.wait_for = (
            given[name] for name in FIELDS[:4]
        )
        self.conn, self.hours, self.poll, self.still, self.run_name = (
            given[name] for name in FIELDS[4:]
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "nightbatch.airflow.triggers.input.InputTrigger", {
            name: getattr(self, name) for name in FIELDS
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        if "{{" in self.run_name:
            raise ValueError(
                "the run's id was not rendered: a scheduled run would not be told from others."
            )
        try:
            came = await self._comes()
        except SettingsError as error:
            self.log.error("The input cannot be looked for: %s", error)
            yield ending(self.task_instance, TaskFailedEvent(), {"failed": str(error)})
            return
        yield ending(
            self.task_instance,
            TaskSuccessEvent() if came else TaskFailedEvent(),
            {"late": not came},
        )

    async def _comes(self) -> bool:
        """Wait for the input; False: it has not come in time. Raises SettingsError where waiting is of no use."""
        until = time.monotonic() + float(self.hours) * 3600
        place = await asyncio.to_thread(self._place)
        while self._waits and not await self._is_there(place):
            if time.monotonic() > until:
                self.log.error(
                    "After %s h there is no input below %s%s.",
                    self.hours,
                    self.source,
                    place,
                )
                return False
            await asyncio.sleep(float(self.poll))
        return True

    @property
    def _waits(self) -> bool:
        return self.run_name.startswith(SCHEDULED)

    def _place(self) -> str:
        from nightbatch.airflow.runs import partition
        from nightbatch.spec.locations import folder

        return folder(
            partition(
                self.partition.strip(), {"partition_key": self.key.strip() or None}
            )
        )

    async def _is_there(self, place: str) -> bool:
        try:
            return await asyncio.to_thread(self._look, place)
        except StoreError as error:
            self.log.warning("%s", error)
            return False

    def _look(self, place: str) -> bool:
        from nightbatch.airflow import ports
        from nightbatch.prepare.arrival import arrived

        quiet_since = ports.now() - timedelta(seconds=float(self.still))
        return arrived(
            ports.store(self.source, self.conn).ages(place), self.wait_for, quiet_since
        )
