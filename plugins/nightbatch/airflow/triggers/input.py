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
"""The trigger's arguments, all of them text: a template of the sensor renders each."""

SCHEDULED = "scheduled__"
"""Prefix of the ids that Airflow gives to scheduled runs."""


class InputTrigger(BaseTrigger):
    """Fire once a partition has its marker or, with `any`, Parquet files that no longer change; fail after `hours`.

    Fire at once in a run that was not scheduled.
    """

    def __init__(self, **arguments: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.partition = arguments["partition"]
        self.key = arguments["key"]
        self.source = arguments["source"]
        self.wait_for = arguments["wait_for"]
        self.conn = arguments["conn"]
        self.hours = arguments["hours"]
        self.poll = arguments["poll"]
        self.still = arguments["still"]
        self.run_name = arguments["run_name"]

    def serialize(self) -> tuple[str, dict[str, Any]]:
        trigger_kwargs = {
            field_name: getattr(self, field_name) for field_name in FIELDS
        }
        return "nightbatch.airflow.triggers.input.InputTrigger", trigger_kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        if "{{" in self.run_name:
            raise ValueError(
                "the run's id was not rendered: a scheduled run could not be distinguished from others."
            )
        try:
            has_input = await self._wait_for_input()
        except SettingsError as error:
            self.log.error("The input cannot be looked for: %s", error)
            yield ending(self.task_instance, TaskFailedEvent(), {"failed": str(error)})
            return
        task_event = TaskSuccessEvent() if has_input else TaskFailedEvent()
        yield ending(self.task_instance, task_event, {"late": not has_input})

    async def _wait_for_input(self) -> bool:
        """Wait for the input; False: it has not come in time. Raises SettingsError where waiting is of no use."""
        deadline = time.monotonic() + float(self.hours) * 3600
        partition_folder = await asyncio.to_thread(self._partition_folder)
        while self._is_scheduled and not await self._has_arrived(partition_folder):
            if time.monotonic() > deadline:
                self.log.error(
                    "After %s h there is no input below %s%s.",
                    self.hours,
                    self.source,
                    partition_folder,
                )
                return False
            await asyncio.sleep(float(self.poll))
        return True

    @property
    def _is_scheduled(self) -> bool:
        return self.run_name.startswith(SCHEDULED)

    def _partition_folder(self) -> str:
        from nightbatch.airflow.runs import partition
        from nightbatch.spec.locations import folder

        key_context = {"partition_key": self.key.strip() or None}
        return folder(partition(self.partition.strip(), key_context))

    async def _has_arrived(self, partition_folder: str) -> bool:
        """List the folder once; a store that cannot be read is logged, and counts as no input yet."""
        try:
            return await asyncio.to_thread(self._look, partition_folder)
        except StoreError as error:
            self.log.warning("%s", error)
            return False

    def _look(self, partition_folder: str) -> bool:
        from nightbatch.airflow import ports
        from nightbatch.prepare.arrival import arrived

        quiet_since = ports.now() - timedelta(seconds=float(self.still))
        source_store = ports.store(self.source, self.conn)
        file_ages = source_store.ages(partition_folder)
        return arrived(file_ages, self.wait_for, quiet_since)
