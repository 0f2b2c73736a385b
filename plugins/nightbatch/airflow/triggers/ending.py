"""How a trigger ends its task without a worker: the task's return value goes to XCom from here."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow.triggers.base import TriggerEvent


def ending(
    task_instance: Any, event: TriggerEvent, payload: dict[str, Any]
) -> TriggerEvent:
    """Return what ends the task. `airflow dags test` has no task instance: there a worker gets the payload."""
    return event if task_instance is not None else TriggerEvent(payload)


async def push(task_instance: Any, value: dict[str, Any]) -> None:
    """Store what the task returns; nothing where a worker will return it."""
    if task_instance is not None:
        await asyncio.to_thread(_push, task_instance, value)


def _push(task_instance: Any, value: dict[str, Any]) -> None:
    from airflow.sdk.execution_time.xcom import XCom

    XCom.set(
        key="return_value",
        value=value,
        dag_id=task_instance.dag_id,
        task_id=task_instance.task_id,
        run_id=task_instance.run_id,
        map_index=task_instance.map_index,
    )
