"""Hours and weeks that pass in no time: the clock of the API and that of the processes that run are turned together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.support.nights.real import RealWorld

from nightbatch.emulator.embedded import Emulator

PATIENCE = 180.0


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something to become true."""
    last = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < last, f"in vain: {what}"
        time.sleep(0.02)


@dataclass
class Turned:
    """A world whose processes read how far their clock is ahead from a file."""

    world: RealWorld

    @property
    def emulator(self) -> Emulator:
        """Return the API's books, faults and clock."""
        return Emulator(self.world.emulator)

    def turn(self, seconds: float) -> None:
        """Let so many seconds pass, for the API and for every process."""
        file = Path(self.world.clock)
        ahead = seconds
        if file.exists():
            ahead += float(file.read_text())
        new_file = file.with_suffix(".new")
        new_file.write_text(str(ahead))
        new_file.rename(file)
        self.emulator.advance(seconds)

    def pass_until_ended(
        self, processes: Sequence[ForkServerProcess], leap: float = 4_000
    ) -> None:
        """Let time fly a hundred times as fast as it does, and leap whenever a process has ended."""
        last = time.monotonic() + PATIENCE
        running = len(processes)
        while running:
            assert time.monotonic() < last, (
                f"in vain: {running} of {len(processes)} still run"
            )
            time.sleep(0.1)
            still_running = sum(process.is_alive() for process in processes)
            self.turn(leap if still_running < running else 10)
            running = still_running
