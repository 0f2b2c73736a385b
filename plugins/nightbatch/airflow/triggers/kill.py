"""What happens when a task is killed while it waits; Airflow calls `on_kill` for a cleared or moved task too."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

KILLED = frozenset({"failed", "skipped"})
"""Marked failed, or its run failed; skipped: its run timed out. A cleared or moved task has none of these states."""

KILL_SECONDS = 120.0
"""How long to keep trying to cancel what a killed task has bought."""
_killing: set[asyncio.Task[None]] = set()


async def detached(work: Coroutine[Any, Any, None]) -> None:
    """Do the work of an `on_kill` in a task of its own: Airflow cancels the coroutine again within a second."""
    running_loop = asyncio.get_running_loop()
    kill_task = running_loop.create_task(_with_timeout(work))
    _killing.add(kill_task)
    kill_task.add_done_callback(_killing.discard)
    await asyncio.shield(kill_task)


async def _with_timeout(work: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(KILL_SECONDS):
        await work


async def was_killed(task_instance: Any) -> bool:
    """Ask Airflow for the state of a task instance, and return whether it was failed or skipped from outside."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult

    if task_instance is None:
        return False
    state_request = GetTaskStates(
        dag_id=task_instance.dag_id,
        map_index=task_instance.map_index,
        task_ids=[task_instance.task_id],
        run_ids=[task_instance.run_id],
    )
    response = await task_runner.SUPERVISOR_COMMS.asend(state_request)
    if not isinstance(response, TaskStatesResult):
        return False
    run_states = response.task_states.get(task_instance.run_id, {})
    return run_states.get(_state_key(task_instance)) in KILLED


def _state_key(task_instance: Any) -> str:
    """Return the key of a task instance among the states of its run."""
    if task_instance.map_index < 0:
        return str(task_instance.task_id)
    return f"{task_instance.task_id}_{task_instance.map_index}"
