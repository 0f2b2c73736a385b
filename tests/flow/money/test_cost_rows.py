"""The row of the cost table is written once a landing."""

from __future__ import annotations

from tests.support.nights.flow import SOURCE, Flow, put, rows, settings
from tests.support.nights.memory import MemoryWorld

from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.ledger import keys


class Counting(MemoryStore):
    """A store that counts how often each key is created."""

    created: list[str]

    def __init__(self, url: str, bucket: MemoryBucket, created: list[str]) -> None:
        super().__init__(url, bucket)
        self.created = created

    def create(self, key: str, body: bytes) -> bool:
        self.created.append(key)
        return super().create(key, body)


def test_the_row_of_the_cost_table_is_written_once_a_landing() -> None:
    created: list[str] = []

    class World(MemoryWorld):
        def store(self, url: str) -> MemoryStore:
            return Counting(url, self.bucket, created)

    world = World()
    put(world.store(SOURCE), "dt=1/part-0.parquet", rows(["one"]))
    Flow(world, settings()).run()
    assert [key for key in created if key.startswith(keys.COSTS)] == [
        keys.cost(keys.shard(1))
    ]
