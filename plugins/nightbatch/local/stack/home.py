"""The directory of one stack: held by one owner at a time, wiped at the start, kept for its logs at the end."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import IO

from nightbatch.local.stack.errors import HomeBusy, HomeForeign
from nightbatch.local.stack.processes import sweep
from nightbatch.local.stack.settings import PROJECT

MARK = ".nightbatch-stack"
"""Says that a folder was made by a stack: such a one is emptied at the next start."""


class Home:
    """A claimed home; the claim ends with the process that made it."""

    def __init__(self, path: Path) -> None:
        self._typed = path
        self.path = path.resolve()
        self._lock: IO[bytes] | None = None

    def claim(self) -> None:
        """Take the home, kill what an earlier owner left running, and empty it.

        Raises HomeBusy if it is held, and HomeForeign if it is not ours.
        """
        self._require_ours()  # before anything is written beside it
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(f"{self.path.name}.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise HomeBusy(
                f"Another stack is running in {self.path}: stop it first."
            ) from None
        self._lock = lock
        try:
            self._require_ours()
        except HomeForeign:
            self.release()
            raise
        sweep(self.path)
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(mode=0o700)
        (self.path / MARK).touch(mode=0o600)

    def _require_ours(self) -> None:
        """Refuse a link, a folder that holds the project or the user's own files, and one that no stack has made."""
        advice = "Name a folder that is empty or not there yet."
        if self._is_link:
            raise HomeForeign(f"{self._typed} is a link to {self.path}. {advice}")
        for kept, name in (
            (PROJECT, "the project"),
            (Path.home().resolve(), "your home directory"),
        ):
            if kept.is_relative_to(self.path):
                raise HomeForeign(
                    f"{self.path} is or holds {name}, so it is not emptied. {advice}"
                )
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise HomeForeign(f"{self.path} is a file. {advice}")
        if any(self.path.iterdir()) and not self._has_mark:
            raise HomeForeign(
                f"{self.path} holds files that no stack has written (there is no {MARK}), "
                f"so it is not emptied. {advice}"
            )

    @property
    def _is_link(self) -> bool:
        return self._typed.is_symlink()

    @property
    def _has_mark(self) -> bool:
        mark = self.path / MARK
        return mark.is_file() and not mark.is_symlink()

    def release(self) -> None:
        """Let others claim the home."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
