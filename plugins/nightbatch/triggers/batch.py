"""The trigger that waits for one batch by asking the poller that all of them share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from nightbatch.core.errors import AccountStopped, BatchGone


class BatchTrigger(BaseTrigger):
    """Fire once a batch has ended, or is gone; `land` says what that means."""

    def __init__(self, batch: str, conn: str, poll: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.batch, self.conn, self.poll = batch, conn, poll

    def serialize(self) -> tuple[str, dict[str, Any]]:
        kwargs = {"batch": self.batch, "conn": self.conn, "poll": self.poll}
        return "nightbatch.triggers.batch.BatchTrigger", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from nightbatch.triggers.poller import poller

        try:
            seen: dict[str, Any] = {"batch": self.batch, "counts": {}}
            if self.batch:  # a claim that was given up has none
                ended = await poller(self.conn).wait(self.batch, float(self.poll))
                seen["counts"] = ended.counts
        except BatchGone:
            seen = {"batch": self.batch, "counts": {}, "gone": True}
        except AccountStopped as error:
            self.log.error("%s", error)
            yield TaskFailedEvent()
            return
        if self.task_instance is None:
            yield TriggerEvent(seen)
            return
        await asyncio.to_thread(self._push, seen)
        yield TaskSuccessEvent()

    def _push(self, seen: dict[str, Any]) -> None:
        from airflow.sdk.execution_time.xcom import XCom

        ti: Any = self.task_instance
        XCom.set(
            key="return_value", value=seen, dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id,
            map_index=ti.map_index,
        )  # fmt: skip
