"""The progress of a run: a live table at a terminal, else one line for each change."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from nightbatch.local.stack.rest import Json

StateCounts = defaultdict[str, Counter[str]]
"""How many instances of each task are in which state."""

QUIET = frozenset({"None", "scheduled", "queued", "removed", "skipped"})
COLORS = {
    "success": "green",
    "failed": "red",
    "upstream_failed": "red",
    "running": "yellow",
    "deferred": "magenta",
}


class TaskProgress:
    """The states of one run's tasks, as they change."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._started_at = time.monotonic()
        self._shown: dict[str, str] = {}
        self._live: Live | None = None

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the table while the run lasts, where there is a terminal to draw it on."""
        if not self._console.is_terminal:
            yield
            return
        with Live(
            self._table(), console=self._console, refresh_per_second=4
        ) as self._live:
            yield

    def __call__(self, tasks: list[Json]) -> None:
        """Show the task instances of one tick."""
        for task_id, state_summary in summarize(tasks).items():
            if self._shown.get(task_id) == state_summary:
                continue
            self._shown[task_id] = state_summary
            if self._live is None:
                self._print_change(task_id, state_summary)
        if self._live is not None:
            self._live.update(self._table())

    def _print_change(self, task_id: str, state_summary: str) -> None:
        change_line = f"{self._age():>6}  {task_id:<24} {state_summary}"
        self._console.print(change_line, highlight=False)

    def _table(self) -> Table:
        task_table = Table(
            "task",
            "state",
            title=f"{self._title} · {self._age()}",
            title_justify="left",
            min_width=60,
        )
        for task_id, state_summary in self._shown.items():
            last_state = state_summary.split()[-1]
            color = COLORS.get(last_state, "default")
            task_table.add_row(task_id, f"[{color}]{state_summary}")
        return task_table

    def _age(self) -> str:
        age_seconds = time.monotonic() - self._started_at
        return f"{age_seconds:.0f} s"


def summarize(tasks: list[Json]) -> dict[str, str]:
    """Return each task's states in the order in which tasks began, mapped ones together: `2 success, 1 running`."""
    counts_by_task = _state_counts(tasks)
    return {task_id: _summary(counts) for task_id, counts in counts_by_task.items()}


def _state_counts(tasks: list[Json]) -> StateCounts:
    """Count the task instances by task and state, in the order in which the tasks began."""
    state_counts: StateCounts = defaultdict(Counter)
    for task in _begun_tasks(tasks):
        task_id = task["task_id"]
        task_state = task["state"]
        state_counts[task_id][task_state] += 1
    return state_counts


def _begun_tasks(tasks: list[Json]) -> list[Json]:
    """Return the tasks that have done or do something, in the order of their start."""
    begun_tasks = [task for task in tasks if str(task["state"]) not in QUIET]
    return sorted(begun_tasks, key=_start_key)


def _start_key(task: Json) -> str:
    """Return what sorts a task by its start; one without a start comes last."""
    return task["start_date"] or "~"


def _summary(state_counts: Counter[str]) -> str:
    if state_counts.total() == 1:
        return next(iter(state_counts))
    parts = [f"{count} {state}" for state, count in state_counts.most_common()]
    return ", ".join(parts)
