"""A world in memory, whose clock turns as far as anybody waits; its planners' leases never hold anybody off."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.support.nights.flow import SOURCE, put, rows

from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.io.memory_api import Clock, MemoryBatches
from nightbatch.ports import Store
from nightbatch.submit.decide import SubmitTiming

SLOW = 60.0
"""A wait of a twentieth of a second in the real world is a minute here."""


@dataclass
class MemoryWorld:
    """Stores and an API in memory; to sleep is to turn the clock."""

    timing: SubmitTiming = field(default_factory=lambda: SubmitTiming(lease=0))
    clock: Clock = field(default_factory=Clock)
    bucket: MemoryBucket = field(default_factory=MemoryBucket)
    offset: float = 0.0
    """Seconds by which the workers' clock is ahead of the API's."""
    uploads: int = 1

    def __post_init__(self) -> None:
        self.batches = MemoryBatches(self.clock)

    def store(self, url: str) -> Store:
        return MemoryStore(url, self.bucket)

    def now(self) -> datetime:
        return self.clock() + timedelta(seconds=self.offset)

    def sleep(self, seconds: float) -> None:
        self.clock.turn(max(seconds, SLOW))

    def api(self) -> MemoryBatches:
        return self.batches


def world_of_rows(count: int) -> MemoryWorld:
    """Return a world with one partition of N rows, each with another text."""
    world = MemoryWorld()
    texts = [f"text {number}" for number in range(count)]
    put(world.store(SOURCE), "dt=1/part-0.parquet", rows(texts))
    return world
