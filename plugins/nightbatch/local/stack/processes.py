"""Processes of a stack, identified by a mark in their environment.

A process group is not enough: Airflow puts every task into a group of its own. The mark is inherited by whatever a
service starts, so no process of a stack outlives it, even if its owner was killed before it could clean up.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from nightbatch.local.stack.errors import NotReady, ServiceDied

STACK_MARK = "NIGHTBATCH_STACK"
PART_MARK = "NIGHTBATCH_PART"
TAIL_LINES = 30
SWEEP_SECONDS = 10.0


def marked(home: Path, part: str | None = None) -> list[psutil.Process]:
    """Return the running processes of a stack, or of one part of it."""
    marks = {STACK_MARK: str(home)}
    if part is not None:
        marks[PART_MARK] = part
    all_processes = psutil.process_iter()
    return [process for process in all_processes if _has_marks(process, marks)]


def _has_marks(process: psutil.Process, marks: Mapping[str, str]) -> bool:
    try:
        environment: dict[str, str] = process.environ()
    except (psutil.Error, OSError):
        return False
    return marks.items() <= environment.items()


def sweep(home: Path, part: str | None = None) -> None:
    """Kill -9 every process of a stack, or of one part; repeat for those that were forked at the same time."""
    deadline = time.monotonic() + SWEEP_SECONDS
    while time.monotonic() < deadline:
        running_processes = marked(home, part)
        if not running_processes:
            return
        for process in running_processes:
            _kill(process)
        time.sleep(0.02)


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


PRIVATE = 0o077
"""The umask of all processes: their files hold rows, prompts and passwords."""


@dataclass
class Service:
    """One long-running process and all its children.

    `user`: whom it runs as; None: as its owner. `folder`: its working directory; None: the home.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    home: Path
    is_ready: Callable[[float], bool]
    patience: float = 90.0
    user: str | None = None
    folder: Path | None = None
    started_at: float = 0.0
    _log_start: int = field(default=0, repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _asked: bool = field(default=False, repr=False)
    """Whether the process was asked to end, or killed, by us."""

    @property
    def log(self) -> Path:
        """Where the service's output goes."""
        return self.home / "logs" / f"{self.name}.log"

    @property
    def output(self) -> str:
        """Return what the service has written since it was last started."""
        with self.log.open("rb") as log_file:
            log_file.seek(self._log_start)
            return log_file.read().decode(errors="replace")

    @property
    def pid(self) -> int:
        """The process id of the service itself."""
        if self._process is None:
            raise ServiceDied(f"{self.name} was not started.")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Return whether the service's own process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def ended_by_itself(self) -> bool:
        """Return whether the process has ended without being asked to."""
        return self._process is not None and not self._asked and not self.alive

    def start(self) -> None:
        """Start the process in a session of its own: a Ctrl-C at the terminal reaches only the stack's owner."""
        self.started_at = time.time()
        self._asked = False
        marks = {STACK_MARK: str(self.home), PART_MARK: self.name}
        with self._open_log() as log_file:
            self._log_start = log_file.tell()
            self._process = subprocess.Popen(
                self.argv,
                env={**self.env, **marks},
                cwd=self.folder or self.home,
                user=self.user,
                extra_groups=[] if self.user else None,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=PRIVATE,
            )

    def _open_log(self) -> IO[bytes]:
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log.touch(mode=0o600)
        return self.log.open("ab")

    def wait_ready(self) -> None:
        """Block until the service is healthy; raise ServiceDied or NotReady with the end of its log."""
        deadline = time.monotonic() + self.patience
        while not self.is_ready(self.started_at):
            if not self.alive:
                raise ServiceDied(f"{self.name} ended while starting.\n{self.tail()}")
            if time.monotonic() > deadline:
                raise NotReady(
                    f"{self.name} was not healthy after {self.patience:.0f} s.\n{self.tail()}"
                )
            time.sleep(0.1)

    def wait_done(self) -> None:
        """Block until a one-off process has ended well; raise ServiceDied or NotReady."""
        if self._process is None:
            raise ServiceDied(f"{self.name} was not started.")
        try:
            exit_code = self._process.wait(self.patience)
        except subprocess.TimeoutExpired:
            raise NotReady(
                f"{self.name} took longer than {self.patience:.0f} s.\n{self.tail()}"
            ) from None
        if exit_code:
            raise ServiceDied(
                f"{self.name} ended with code {exit_code}.\n{self.tail()}"
            )

    def terminate(self) -> None:
        """Ask the process to end, without waiting for it."""
        self._asked = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def stop(self, *, grace: float = 10.0) -> None:
        """Ask the process to end, wait for the grace period (seconds), then kill what still runs."""
        self.terminate()
        if self._process is not None:
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self.kill()

    def kill(self) -> None:
        """Kill -9 the service and all its children at once, as a machine that loses power would."""
        self._asked = True
        sweep(self.home, self.name)
        if self._process is not None:
            self._process.wait()

    def restart(self) -> None:
        """Start again after a stop or a kill, and wait until healthy."""
        self.start()
        self.wait_ready()

    def tail(self) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return ""
        log_text = self.log.read_text(errors="replace")
        log_lines = log_text.splitlines()
        return os.linesep.join(log_lines[-TAIL_LINES:])
