"""Failpoints: named places between two steps where a test may end the process as kill -9 would.

NIGHTBATCH_FAILPOINTS names a folder. A file in it arms the point of its name once: the first process that reaches the
point removes the file and is killed. A `$NAME` in the folder's name is read from the environment when a point is
reached: with `$AIRFLOW_CTX_DAG_RUN_ID`, each run of a DAG has its own folder. Without the variable, and without a
watcher, reaching a point does nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from nightbatch.environment import FAILPOINTS, read

_watchers: list[Callable[[str], None]] = []


def reach(point: str) -> None:
    """Notify all watchers that this point is reached."""
    for watcher in (*_killers(), *_watchers):
        watcher(point)


@contextmanager
def watching(watcher: Callable[[str], None]) -> Iterator[None]:
    """Notify a watcher of every point that is reached within the block; it may raise."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def killer(folder: Path) -> Callable[[str], None]:
    """Return a watcher that kills this process at the first point for which the folder has a file of its name."""

    def kill(point: str) -> None:
        armed_file = Path(os.path.expandvars(folder), point)
        try:
            armed_file.unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    return kill


@cache
def _killers() -> tuple[Callable[[str], None], ...]:
    """Make what kills this process where the environment says so; read once, when a point is first reached."""
    folder_name = read(FAILPOINTS)
    return (killer(Path(folder_name)),) if folder_name else ()
