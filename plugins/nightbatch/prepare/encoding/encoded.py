"""Rows with the content of each one's request; those with images or documents in groups that fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from nightbatch.money.media_tokens import Measure
from nightbatch.prepare.encoding.prompts import Problems

MEDIA_BYTES = 32 * 1024 * 1024
"""Rows with images and documents are staged together up to about this size of their requests."""


@dataclass(frozen=True)
class Encoded:
    """One batch of rows, the content of each row's request (JSON, large_binary), and why some rows have no request.

    `measures`: the most that each content with images or documents may cost.
    """

    rows: pa.RecordBatch
    contents: pa.Array
    problems: Problems
    measures: Sequence[Measure] | None = None


class EncodedRow(NamedTuple):
    """The content of one row's request, or why there can be none."""

    content: bytes = b""
    measure: Measure = Measure(0, 0)
    problem: str | None = None


def groups(
    rows: pa.RecordBatch, encoded_rows: Iterable[EncodedRow]
) -> Iterator[Encoded]:
    """Cut rows into groups of about MEDIA_BYTES; the last one may be empty."""
    group = list[EncodedRow]()
    group_start = 0
    group_bytes = 0
    for encoded_row in encoded_rows:
        group.append(encoded_row)
        group_bytes += len(encoded_row.content)
        if group_bytes > MEDIA_BYTES:
            group_rows = rows.slice(group_start, len(group))
            yield _encoded(group_rows, group)
            group_start += len(group)
            group_bytes = 0
            group = []
    last_rows = rows.slice(group_start)
    yield _encoded(last_rows, group)


def _encoded(rows: pa.RecordBatch, encoded_rows: Sequence[EncodedRow]) -> Encoded:
    contents = [row.content for row in encoded_rows]
    measures = [row.measure for row in encoded_rows]
    problems = Problems()
    for place, row in enumerate(encoded_rows):
        if row.problem is not None:
            problems[place] = row.problem
    content_column = pa.array(contents, pa.large_binary())
    return Encoded(rows, content_column, problems, measures)
