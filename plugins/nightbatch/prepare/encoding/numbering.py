"""The numbers of requests: equal requests of a part are one, with one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.id_lookup import ID
from nightbatch.money.media_tokens import Measure
from nightbatch.prepare.encoding.encoded import Encoded
from nightbatch.prepare.encoding.prompts import Problems
from nightbatch.prepare.encoding.schemas import MEDIA_REQUESTS, REQUESTS

Numbers = list[int | None]
"""The number of each row's request; None for a row that has a problem instead."""
RequestNumbers = dict[bytes, int]
"""The number of each request of a part, by its id."""


@dataclass(frozen=True)
class Staged:
    """One batch of rows: the number of each row's request in its part (null if it has a problem), and new requests."""

    numbers: pa.Array
    problems: pa.Array
    requests: pa.RecordBatch


def numbered(
    encoded: Encoded, ids: list[bytes], numbers_by_id: RequestNumbers
) -> Staged:
    """Give the request of each row its number, by its id; new requests are added to `numbers_by_id`."""
    first_new = len(numbers_by_id)
    number_of = numbers_by_id.setdefault
    numbers: Numbers = [
        None if row in encoded.problems else number_of(request_id, len(numbers_by_id))
        for row, request_id in enumerate(ids)
    ]
    new_count = len(numbers_by_id) - first_new
    if new_count == len(ids):
        requests = _requests(ids, encoded.contents, encoded.measures)
    else:
        new_rows = _first_rows(numbers, first_new)
        requests = _requests_of(new_rows, ids, encoded)
    number_column = pa.array(numbers, pa.int32())
    problem_column = _problem_column(encoded.problems, len(ids))
    return Staged(number_column, problem_column, requests)


def _problem_column(problems: Problems, row_count: int) -> pa.Array:
    if not problems:
        return pa.nulls(row_count, pa.string())
    row_problems = [problems.get(row) for row in range(row_count)]
    return pa.array(row_problems, pa.string())


def _first_rows(numbers: Numbers, first_new: int) -> list[int]:
    """Return the row where each number from `first_new` on occurs first."""
    row_of_number = dict[int, int]()
    for row, number in enumerate(numbers):
        if number is None:
            continue
        if number >= first_new:
            row_of_number.setdefault(number, row)
    return list(row_of_number.values())


def _requests_of(rows: list[int], ids: list[bytes], encoded: Encoded) -> pa.RecordBatch:
    """Return the requests of some rows."""
    places = pa.array(rows, pa.int64())
    row_contents = encoded.contents.take(places)
    row_ids = [ids[row] for row in rows]
    row_measures = None
    if encoded.measures is not None:
        row_measures = [encoded.measures[row] for row in rows]
    return _requests(row_ids, row_contents, row_measures)


def _requests(
    ids: list[bytes], contents: pa.Array, measures: Sequence[Measure] | None
) -> pa.RecordBatch:
    id_column = pa.array(ids, ID)
    content_sizes = pc.binary_length(contents)
    size_column = content_sizes.cast(pa.int32())
    columns = [id_column, contents, size_column]
    if measures is None:
        return pa.RecordBatch.from_arrays(columns, schema=REQUESTS)
    text_sizes = [measure.text_size for measure in measures]
    columns.append(pa.array(text_sizes, pa.int32()))
    media_tokens = [measure.media_tokens for measure in measures]
    columns.append(pa.array(media_tokens, pa.int64()))
    return pa.RecordBatch.from_arrays(columns, schema=MEDIA_REQUESTS)
