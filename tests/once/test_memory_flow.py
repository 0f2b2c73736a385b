"""Buying once over ports in memory: each case by itself, with nothing else going wrong."""

from __future__ import annotations

from tests.once.flow import SOURCE, TARGET, Flow, published, put, rows
from tests.once.memory import MemoryWorld

TEXTS = ["one", "two", "three", "two"]


def test_an_undisturbed_run_buys_each_distinct_request_once() -> None:
    world = MemoryWorld()
    put(world.store(SOURCE), "dt=1/part-0.parquet", rows(TEXTS))
    report = Flow(world).run()
    assert (report["bought"], report["answered"]) == (3, 4)
    assert set(world.batches.bought().values()) == {1}
    assert [row["answer"] for row in published(world.store(TARGET))] == [f"about Say: {text}" for text in TEXTS]
