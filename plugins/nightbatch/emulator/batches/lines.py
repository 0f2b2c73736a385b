"""A batch's results when it ended: the answered lines as they are, the rest canceled or expired."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

from nightbatch.emulator.batches.batch import Batch

Blocks = Iterator[bytes]
"""Whole lines, about a megabyte at a time."""

BLOCK = 1 << 20
_UNANSWERED_LINE = b'{"custom_id":"%b","result":{"type":"%b"}}\n'


def result_blocks(path: Path, batch: Batch) -> Blocks:
    """Yield the result file in blocks of whole lines, about a megabyte each."""
    answers = batch.answers
    if answers is None:
        raise ValueError(f"the answers of {batch.id} are not worked out")
    answered_count = batch.timeline.answered(batch.count)
    with path.open("rb") as lines:
        block_start = 0
        for block_end in _block_ends(answers.ends, answered_count):
            yield lines.read(block_end - block_start)
            block_start = block_end
        yield from _left_over(lines, batch)


def custom_id(line: bytes) -> bytes:
    """Return the custom_id of a result line that the emulator wrote."""
    return line[14 : line.index(b'"', 14)]


def _block_ends(line_ends: array[int], answered_count: int) -> Iterator[int]:
    """Yield the byte positions where a block ends: a line's end, about a megabyte after the last one."""
    block_start = 0
    for rank in range(answered_count):
        line_end = line_ends[rank]
        is_last = rank == answered_count - 1
        if line_end - block_start >= BLOCK or is_last:
            block_start = line_end
            yield line_end


def _left_over(lines: Iterator[bytes], batch: Batch) -> Blocks:
    """Yield a line without an answer for every line that is left, in blocks."""
    left_over = batch.timeline.left_over()
    result_type = left_over.encode()
    block = bytearray()
    for line in lines:
        line_id = custom_id(line)
        block += _UNANSWERED_LINE % (line_id, result_type)
        if len(block) >= BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)
