"""The directory of one stack: held by one owner at a time, wiped at the start, kept for its logs at the end."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import IO

from nightbatch.local.errors import HomeBusy
from nightbatch.local.processes import sweep


class Home:
    """A claimed home; the claim ends with the process that made it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: IO[bytes] | None = None

    def claim(self) -> None:
        """Take the home, kill what an earlier owner left running, and empty it; raise HomeBusy if it is held."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(f"{self.path.name}.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise HomeBusy(f"Another stack is running in {self.path}: stop it first.") from None
        self._lock = lock
        sweep(self.path)
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()

    def release(self) -> None:
        """Let others claim the home."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
