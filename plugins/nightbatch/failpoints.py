"""Failpoints: the places between two steps, by name, where a test may end the process as kill -9 would.

NIGHTBATCH_FAILPOINTS names a folder. A file in it arms the point of its name once: whoever reaches the point first
removes the file and is killed. A `$NAME` in it is read from the environment when a point is reached: with
`$AIRFLOW_CTX_DAG_RUN_ID`, each run of a DAG has a folder of its own. Without the variable, and without a watcher,
reaching a point does nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = "NIGHTBATCH_FAILPOINTS"
_watchers: list[Callable[[str], None]] = []


def reach(point: str) -> None:
    """Say that this point is reached."""
    for watcher in tuple(_watchers):
        watcher(point)


@contextmanager
def watching(watcher: Callable[[str], None]) -> Iterator[None]:
    """Tell a watcher of every point that is reached within the block; it may raise."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def killer(folder: Path) -> Callable[[str], None]:
    """Kill this process at the first point that a file in the folder is named for."""

    def kill(point: str) -> None:
        try:
            Path(os.path.expandvars(folder), point).unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    return kill


if given := os.environ.get(FOLDER):
    _watchers.append(killer(Path(given)))
