"""The directory of one stack: locked by one owner at a time, emptied at the start, kept for its logs at the end."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import IO

from nightbatch.local.stack.errors import HomeBusy, HomeForeign
from nightbatch.local.stack.processes import sweep
from nightbatch.local.stack.settings import PROJECT

MARK = ".nightbatch-stack"
"""The file that marks a folder as made by a stack: such a folder is emptied at the next start."""
ADVICE = "Name a folder that is empty or not there yet."


class Home:
    """A claimed home; the claim ends with the process that made it."""

    def __init__(self, path: Path) -> None:
        self._given_path = path
        self.path = path.resolve()
        self._lock: IO[bytes] | None = None

    def claim(self) -> None:
        """Take the home, kill what an earlier owner left running, and empty it.

        Raises HomeBusy if it is held, and HomeForeign if it is not ours.
        """
        self._require_ours()  # before anything is written next to it
        self._acquire_lock()
        try:
            self._require_ours()
        except HomeForeign:
            self.release()
            raise
        sweep(self.path)
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(mode=0o700)
        (self.path / MARK).touch(mode=0o600)

    def _acquire_lock(self) -> None:
        """Lock the file next to the home; the lock lasts as long as the file is open."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock_path = self.path.with_name(f"{self.path.name}.lock")
        lock_file = lock_path.open("ab")
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock_file.close()
            raise HomeBusy(
                f"Another stack is running in {self.path}: stop it first."
            ) from None
        self._lock = lock_file

    def _require_ours(self) -> None:
        """Refuse a link, a folder that holds the project or the user's own files, and one that no stack has made."""
        if self._is_link:
            raise HomeForeign(f"{self._given_path} is a link to {self.path}. {ADVICE}")
        self._require_outside(PROJECT, "the project")
        user_home = Path.home().resolve()
        self._require_outside(user_home, "your home directory")
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise HomeForeign(f"{self.path} is a file. {ADVICE}")
        if self._holds_files and not self._has_mark:
            raise HomeForeign(
                f"{self.path} holds files that no stack has written (there is no {MARK}), "
                f"so it is not emptied. {ADVICE}"
            )

    def _require_outside(self, protected_folder: Path, folder_name: str) -> None:
        """Refuse a home that is or holds a folder which must not be emptied."""
        if protected_folder.is_relative_to(self.path):
            raise HomeForeign(
                f"{self.path} is or holds {folder_name}, so it is not emptied. {ADVICE}"
            )

    @property
    def _is_link(self) -> bool:
        return self._given_path.is_symlink()

    @property
    def _holds_files(self) -> bool:
        return any(self.path.iterdir())

    @property
    def _has_mark(self) -> bool:
        mark_file = self.path / MARK
        return mark_file.is_file() and not mark_file.is_symlink()

    def release(self) -> None:
        """Let others claim the home."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
