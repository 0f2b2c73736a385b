"""A result line that is too long is passed over in bounded memory, and all other lines land."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from tests.support.nights.flow import SOURCE, Flow, put, rows, settings
from tests.support.nights.memory import MemoryWorld

from nightbatch.errors import ApiUnavailable
from nightbatch.ids import BatchId
from nightbatch.io.memory_api import MemoryBatches
from nightbatch.land import read_results

CHUNK = b"x" * 1_000_000


def long_line(chunks: int, head: bytes = b'{"custom_id":"') -> Iterator[bytes]:
    """Give out a line of so many megabytes, without its end."""
    yield head
    for _ in range(chunks):
        yield CHUNK


def stream(*parts: bytes | Iterator[bytes]) -> Iterator[bytes]:
    """Join chunks to a stream."""
    for part in parts:
        if isinstance(part, bytes):
            yield part
        else:
            yield from part


def lines(*parts: bytes | Iterator[bytes]) -> list[bytes]:
    """Read a stream in blocks; return its lines but for what was kept of those that are too long."""
    whole = b"".join(read_results.blocks(stream(*parts)))
    return [
        b"too long" if line.endswith(read_results.TOO_LONG) else line
        for line in whole.split(b"\n")
    ]


@pytest.mark.parametrize("megabytes", [34, 60])
def test_lines_before_and_after_a_long_one_are_given_out(megabytes: int) -> None:
    long = long_line(megabytes)
    assert lines(b"a\nb\nc", b"d\n", long, b"end\ne\nf", b"g\nh\n") == [
        b"a", b"b", b"cd", b"too long", b"e", b"fg", b"h", b"",
    ]  # fmt: skip


def test_a_long_last_line_without_an_end_is_passed_over() -> None:
    assert lines(b"a\n", long_line(40)) == [b"a", b"too long"]


def test_two_long_lines_are_two() -> None:
    assert lines(long_line(34), b"\n", b"a\n", long_line(34), b"\nb\n") == [
        b"too long",
        b"a",
        b"too long",
        b"b",
        b"",
    ]


def test_a_line_of_the_most_bytes_is_given_out_whole() -> None:
    line = b"x" * read_results.LONGEST_LINE
    halves = (line[:20_000_000], line[20_000_000:])
    assert lines(*halves, b"\na\n") == [line, b"a", b""]
    assert lines(*halves, b"x\na\n") == [b"too long", b"a", b""]


def test_a_stream_without_an_end_is_broken_off_and_not_held() -> None:
    blocks = read_results.blocks(stream(b"a\n", long_line(3_000)))
    tracemalloc.start()
    assert next(blocks) == b"a\n"
    with pytest.raises(ApiUnavailable, match="too long"):
        list(blocks)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * read_results.LONGEST_LINE


@dataclass
class LongLines(MemoryBatches):
    """An API that puts a line too long in the place of some results: of which rows, by their number in the stream."""

    world: MemoryWorld
    replaced: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(self.world.clock)

    @contextmanager
    def results(self, batch: BatchId) -> Iterator[Iterator[bytes]]:
        with super().results(batch) as chunks:
            yield stream(*self._parts(chunks))

    def _parts(self, chunks: Iterator[bytes]) -> Iterator[bytes | Iterator[bytes]]:
        for number, line in enumerate(chunks):
            if number in self.replaced:
                yield long_line(34, line.removesuffix(b"\n"))
                yield b"\n"
            else:
                yield line


def test_all_other_lines_of_a_batch_land_and_the_long_one_is_counted_as_garbled() -> (
    None
):
    world = MemoryWorld()
    put(
        world.store(SOURCE),
        "dt=1/part-0.parquet",
        rows([f"text {number}" for number in range(20)]),
    )
    world.batches = LongLines(world, {7})
    flow = Flow(world, settings(attempts=1))
    report = flow.run()
    assert report["by_status"] == {"answered": 19, "missing": 1}
    (shard,) = flow.ledger.view().landed
    fact = flow.ledger.landed(shard)
    assert fact is not None
    assert fact.odd == {"garbled": 1}


def test_what_a_long_line_held_is_asked_again() -> None:
    world = MemoryWorld()
    put(
        world.store(SOURCE),
        "dt=1/part-0.parquet",
        rows([f"text {number}" for number in range(5)]),
    )
    world.batches = LongLines(world, {3})
    flow = Flow(world, settings(attempts=2))
    assert flow.run()["by_status"] == {"answered": 5}
