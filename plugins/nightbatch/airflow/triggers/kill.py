"""What follows when a task is killed while it waits; Airflow calls `on_kill` for a cleared or moved one too."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

KILLED = frozenset({"failed", "skipped"})
"""Marked failed, or its run failed; skipped: its run timed out. A cleared or moved task has none of these states."""

KILL_SECONDS = 120.0
"""For so long it is tried to cancel what a killed task has bought."""
_killing: set[asyncio.Task[None]] = set()


async def detached(work: Coroutine[Any, Any, None]) -> None:
    """Do the work of an `on_kill` in a task of its own: Airflow cancels the coroutine again within a second."""
    task = asyncio.get_running_loop().create_task(_within(work))
    _killing.add(task)
    task.add_done_callback(_killing.discard)
    await asyncio.shield(task)


async def _within(work: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(KILL_SECONDS):
        await work


async def was_killed(ti: Any) -> bool:
    """Ask Airflow for the state of a task instance, and tell whether it was ended against its will."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult

    if ti is None:
        return False
    asked = GetTaskStates(
        dag_id=ti.dag_id,
        map_index=ti.map_index,
        task_ids=[ti.task_id],
        run_ids=[ti.run_id],
    )
    answer = await task_runner.SUPERVISOR_COMMS.asend(asked)
    states = (
        answer.task_states.get(ti.run_id, {})
        if isinstance(answer, TaskStatesResult)
        else {}
    )
    name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}_{ti.map_index}"
    return states.get(name) in KILLED
