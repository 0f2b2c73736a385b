"""What a run is doing, for a person who waits: a live table at a terminal, else one line for each change."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from nightbatch.local.stack.rest import Json

QUIET = frozenset({"None", "scheduled", "queued", "removed", "skipped"})
COLOURS = {
    "success": "green",
    "failed": "red",
    "upstream_failed": "red",
    "running": "yellow",
    "deferred": "magenta",
}


class Progress:
    """The states of one run's tasks, as they change."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._began = time.monotonic()
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
        """Take in the task instances of one tick."""
        for task_id, states in summarise(tasks).items():
            if self._shown.get(task_id) != states:
                self._shown[task_id] = states
                if self._live is None:
                    self._console.print(
                        f"{self._age():>6}  {task_id:<24} {states}", highlight=False
                    )
        if self._live is not None:
            self._live.update(self._table())

    def _table(self) -> Table:
        table = Table(
            "task",
            "state",
            title=f"{self._title} · {self._age()}",
            title_justify="left",
            min_width=60,
        )
        for task_id, states in self._shown.items():
            table.add_row(
                task_id, f"[{COLOURS.get(states.split()[-1], 'default')}]{states}"
            )
        return table

    def _age(self) -> str:
        return f"{time.monotonic() - self._began:.0f} s"


def summarise(tasks: list[Json]) -> dict[str, str]:
    """Tell each task's states in the order in which the tasks began, mapped ones together: `2 success, 1 running`."""
    begun = [task for task in tasks if str(task["state"]) not in QUIET]
    counts: dict[str, Counter[str]] = {}
    for task in sorted(begun, key=lambda task: task["start_date"] or "~"):
        counts.setdefault(task["task_id"], Counter())[task["state"]] += 1
    return {task_id: _told(states) for task_id, states in counts.items()}


def _told(states: Counter[str]) -> str:
    if len(states) == 1 and states.total() == 1:
        return next(iter(states))
    return ", ".join(f"{count} {state}" for state, count in states.most_common())
