"""The lanes that an earlier try of a plan was mapped to: Airflow keeps their task instances when the plan is cleared,
and runs every one of them, also where the plan has fewer shards to name by then.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def mapped(ti: Any, task_ids: Collection[str]) -> int:
    """Count the lanes that these tasks of the run were mapped to before this try of another task.

    Airflow tells states by the task's id where it is not mapped, else by `<id>_<lane>`.
    """
    if ti.try_number == 1:
        return 0
    told = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=sorted(task_ids)).get(ti.run_id, {})
    return max((sum(name.startswith(f"{task_id}_") for name in told) for task_id in task_ids), default=0)
