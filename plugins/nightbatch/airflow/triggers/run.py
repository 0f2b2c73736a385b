"""The trigger that waits for all batches of an attempt, however many: what it is given does not grow with them."""

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
from nightbatch.airflow.triggers.later import dwell
from nightbatch.errors import FINAL, SettingsError, StoreError
from nightbatch.spec.run_ref import RunRef
from nightbatch.wait.follow import Follow, cancel
from nightbatch.wait.progress import Progress

STORE_SECONDS = 30.0
"""Before the ledger is read again, after the store could not be reached."""


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
        self.reference, self.awaited, self.from_worker = reference, awaited, from_worker

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = ("reference", "awaited", "from_worker")
        return "nightbatch.airflow.triggers.run.RunTrigger", {
            name: getattr(self, name) for name in names
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        goes_on = self.from_worker == "True"
        if goes_on:
            await asyncio.sleep(dwell())
        try:
            seen = await self._follow()
        except FINAL as error:
            self.log.error("The wait fails: %s", error)
            failure = {"failed": str(error)}
            yield (
                TriggerEvent(failure)
                if goes_on
                else ending(self.task_instance, TaskFailedEvent(), failure)
            )
            return
        if goes_on:
            yield TriggerEvent({})
            return
        await push(self.task_instance, seen)
        yield ending(self.task_instance, TaskSuccessEvent(), seen)

    async def on_kill(self) -> None:
        """Cancel the run's own batches where a person failed its task; a cleared or moved trigger cancels nothing."""
        if self._ref.cancel_on_fail:
            await detached(self._kill())

    async def _follow(self) -> dict[str, Any]:
        """Wait for all batches, and say in small what they came to."""
        from nightbatch.airflow.triggers.shared import poller

        progress = await self._progress()
        follow = Follow(
            self._ref, progress, poller(self._ref.anthropic_conn_id), self._say
        )
        batches = (await follow.run()).values()
        counts = Counter[str]()
        for batch in batches:
            counts.update(batch.counts if batch else {})
        gone = sum(batch is None for batch in batches)
        return {"batches": len(progress.batches), "counts": dict(counts), "gone": gone}

    async def _kill(self) -> None:
        from nightbatch.airflow.triggers.shared import poller

        if not await was_killed(self.task_instance):
            return
        shared = poller(self._ref.anthropic_conn_id)
        own = [batch for batch in (await self._progress()).batches if batch.is_own]
        await asyncio.gather(*(cancel(shared, batch.id) for batch in own))
        self.log.warning(
            "The run's batches are cancelled, since its task was marked failed: %d.",
            len(own),
        )

    async def _progress(self) -> Progress:
        """Read the ledger, again while the store cannot be reached."""
        while True:
            try:
                return await asyncio.to_thread(self._read)
            except FINAL:
                raise
            except StoreError as error:
                self.log.warning("%s Reading again in %.0f s.", error, STORE_SECONDS)
                await asyncio.sleep(STORE_SECONDS)

    def _read(self) -> Progress:
        from nightbatch.airflow import ports
        from nightbatch.wait.read_progress import progress

        return progress(
            ports.ledger(self._ref.state, self._ref.aws_conn_id), self.awaited
        )

    @cached_property
    def _ref(self) -> RunRef:
        try:
            return RunRef.from_xcom(self.reference)
        except (TypeError, ValueError):
            raise SettingsError(
                "the wait has no reference to its run: clear the run from `submit` on."
            ) from None

    def _say(self, line: str) -> None:
        self.log.info("%s", line)
