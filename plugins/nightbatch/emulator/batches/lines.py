"""A batch's results as they stood when it ended: the answered lines as they are, the rest canceled or expired."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

from nightbatch.emulator.batches.batch import Batch

BLOCK = 1 << 20


def result_blocks(path: Path, batch: Batch) -> Iterator[bytes]:
    """Yield the result file in blocks of whole lines, about a megabyte each."""
    answers = batch.answers
    if answers is None:
        raise ValueError(f"the answers of {batch.id} are not worked out")
    answered = batch.timeline.answered(batch.count)
    with path.open("rb") as lines:
        rank = 0
        for stop in _stops(answers.ends, answered):
            yield lines.read(
                answers.ends[stop - 1] - (answers.ends[rank - 1] if rank else 0)
            )
            rank = stop
        yield from _left_over(lines, batch)


def custom_id(line: bytes) -> bytes:
    """Return the custom_id of a result line that the emulator wrote."""
    return line[14 : line.index(b'"', 14)]


def _stops(ends: array[int], answered: int) -> Iterator[int]:
    start = 0
    for rank in range(answered):
        if ends[rank] - start >= BLOCK or rank == answered - 1:
            start = ends[rank]
            yield rank + 1


def _left_over(lines: Iterator[bytes], batch: Batch) -> Iterator[bytes]:
    kind = batch.timeline.left_over().encode()
    block = bytearray()
    for line in lines:
        block += b'{"custom_id":"%b","result":{"type":"%b"}}\n' % (
            custom_id(line),
            kind,
        )
        if len(block) >= BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)
