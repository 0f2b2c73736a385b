"""The trigger that waits for all batches of an attempt, however many: its arguments do not grow with their number."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from functools import cached_property
from typing import Any

from airflow.triggers.base import (
    BaseTrigger,
    TaskFailedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)

from nightbatch.airflow.triggers.ending import ending, push
from nightbatch.airflow.triggers.kill import detached, was_killed
from nightbatch.airflow.triggers.later import first_event_delay
from nightbatch.deadlines import time_of
from nightbatch.errors import FINAL, SettingsError, StoreError
from nightbatch.spec.run_ref import RunRef
from nightbatch.wait.follow import Follower, cancel
from nightbatch.wait.progress import Progress

STORE_SECONDS = 30.0
"""Pause before the ledger is read again after the store could not be reached."""


class RunTrigger(BaseTrigger):
    """Fire once all batches of an attempt have ended, or are gone.

    :param reference: what `prepare` returned, as JSON.
    :param awaited: the name of the fact that says which shards the attempt waits for.
    :param from_worker: `True` where a task has deferred from a worker, and goes on there.
    """

    def __init__(
        self, reference: str, awaited: str, from_worker: str = "False"
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reference = reference
        self.awaited = awaited
        self.from_worker = from_worker

    def serialize(self) -> tuple[str, dict[str, Any]]:
        trigger_kwargs = {
            "reference": self.reference,
            "awaited": self.awaited,
            "from_worker": self.from_worker,
        }
        return "nightbatch.airflow.triggers.run.RunTrigger", trigger_kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        task_resumes = self.from_worker == "True"
        if task_resumes:
            await asyncio.sleep(first_event_delay())
        try:
            run_result = await self._follow()
        except FINAL as error:
            self.log.error("The wait fails: %s", error)
            failure = {"failed": str(error)}
            if task_resumes:
                yield TriggerEvent(failure)
            else:
                yield ending(self.task_instance, TaskFailedEvent(), failure)
            return
        if task_resumes:
            yield TriggerEvent({})
            return
        await push(self.task_instance, run_result)
        yield ending(self.task_instance, TaskSuccessEvent(), run_result)

    async def on_kill(self) -> None:
        """Cancel the run's own batches where a person failed its task; a cleared or moved trigger cancels nothing."""
        if self._ref.rules.cancel_on_fail:
            await detached(self._kill())

    async def _follow(self) -> dict[str, Any]:
        """Wait for all batches, and return a summary of their results."""
        from nightbatch.airflow.triggers.shared import poller, reporting

        progress = await self._progress()
        shared_poller = poller(self._ref.rules.anthropic_conn_id)
        follower = Follower(self._ref, progress, shared_poller, self._log_line)
        deadline = time_of(self._ref.deadline)
        async with reporting(self, shared_poller, cancels_at=deadline):
            ended_batches = await follower.run()
        request_counts = Counter[str]()
        gone_count = 0
        for batch in ended_batches.values():
            if batch is None:
                gone_count += 1
            else:
                request_counts.update(batch.counts)
        return {
            "batches": len(progress.batches),
            "counts": dict(request_counts),
            "gone": gone_count,
        }

    async def _kill(self) -> None:
        from nightbatch.airflow.triggers.shared import poller

        if not await was_killed(self.task_instance):
            return
        shared_poller = poller(self._ref.rules.anthropic_conn_id)
        progress = await self._progress()
        own_batches = [batch for batch in progress.batches if batch.is_own]
        cancellations = [cancel(shared_poller, batch.id) for batch in own_batches]
        await asyncio.gather(*cancellations)
        self.log.warning(
            "The run's batches are canceled, since its task was marked failed: %d.",
            len(own_batches),
        )

    async def _progress(self) -> Progress:
        """Read the ledger; retry while the store cannot be reached."""
        while True:
            try:
                return await asyncio.to_thread(self._read_progress)
            except FINAL:
                raise
            except StoreError as error:
                self.log.warning("%s Reading again in %.0f s.", error, STORE_SECONDS)
                await asyncio.sleep(STORE_SECONDS)

    def _read_progress(self) -> Progress:
        from nightbatch.airflow import ports
        from nightbatch.wait.read_progress import progress

        run_ledger = ports.ledger(self._ref.state, self._ref.rules.aws_conn_id)
        return progress(run_ledger, self.awaited)

    @cached_property
    def _ref(self) -> RunRef:
        try:
            return RunRef.from_xcom(self.reference)
        except (TypeError, ValueError):
            raise SettingsError(
                "the wait has no reference to its run: clear the run from `submit` on."
            ) from None

    def _log_line(self, line: str) -> None:
        self.log.info("%s", line)
