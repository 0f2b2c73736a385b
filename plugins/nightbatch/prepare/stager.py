"""The Arrow schemas of what a snapshot and a claim hold, and how rows are staged as requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.id_lookup import ID
from nightbatch.columnar.json_strings import json_quoted
from nightbatch.columnar.unreadable import unreadable_rows
from nightbatch.columnar.utf8 import repaired
from nightbatch.errors import SourceError
from nightbatch.messages.request import BODY_HEAD, BODY_TAIL, Frame
from nightbatch.money.media_tokens import Measure, measure
from nightbatch.spec.parameters.output_columns import PROBLEM, REQUEST
from nightbatch.template import media
from nightbatch.template.template import Template

T = TypeVar("T")
REQUESTS = pa.schema(
    [
        pa.field("id", ID, nullable=False),
        pa.field("content", pa.large_binary(), nullable=False),
        pa.field("size", pa.int32(), nullable=False),
    ]
)
"""`size`: bytes of the content."""
MEDIA_REQUESTS = pa.schema(
    [
        *REQUESTS,
        pa.field("text_size", pa.int32(), nullable=False),
        pa.field("media_tokens", pa.int64(), nullable=False),
    ]
)
"""What is staged of a template with images or documents. `text_size`: bytes of the content without their data;
`media_tokens`: the most tokens that they may have."""

EMPTY = "the prompt is empty after rendering"
UNREADABLE = (
    "column {name!r} holds, inside a list or object, a date or time beyond the years 1 to 9999"
    " or a duration of more than 999,999,999 days"
)
TOO_LARGE = "the request is larger than max_batch_bytes"
MEDIA_BYTES = 32 * 1024 * 1024
"""Rows with images and documents are staged together up to about this size of their requests."""


@dataclass(frozen=True)
class Encoded:
    """One batch of rows, the content of each row's request (JSON, large_binary), and why some rows have no request.

    `measures`: the most that each content with images or documents may cost.
    """

    rows: pa.RecordBatch
    contents: pa.Array
    problems: dict[int, str]
    measures: Sequence[Measure] | None = None


class _EncodedRow(NamedTuple):
    """The content of one row's request, or why there can be none."""

    content: bytes = b""
    measure: Measure = Measure(0, 0)
    problem: str | None = None


@dataclass(frozen=True)
class Staged:
    """One batch of rows: the number of each row's request in its part (null if it has a problem), and new requests."""

    numbers: pa.Array
    problems: pa.Array
    requests: pa.RecordBatch


@dataclass(frozen=True)
class Stager:
    """Turns rows into requests: `encode` rarely holds Python's lock; `stage` then adds the ids and numbers."""

    template: Template
    frame: Frame
    max_bytes: int
    fetch: media.Fetch = media.no_fetch

    @property
    def schema(self) -> pa.Schema:
        """The schema of the requests that are staged."""
        return MEDIA_REQUESTS if self.template.has_media else REQUESTS

    def encode(self, rows: pa.RecordBatch) -> Encoded:
        """Render and encode the request of each row, for rows without images and documents."""
        unreadable = self._unreadable(rows)
        prompts = self._prompts(rows, unreadable)
        empty_rows = _true_places(_is_empty(prompts))
        contents = json_quoted(prompts)
        content_sizes = pc.binary_length(contents)
        is_too_large = pc.greater(content_sizes, self._content_limit)
        too_large_rows = _true_places(is_too_large)
        problems = dict.fromkeys(too_large_rows, TOO_LARGE)
        problems |= dict.fromkeys(empty_rows, EMPTY)
        problems |= unreadable
        return Encoded(rows, contents, problems)

    def encode_media(self, rows: pa.RecordBatch) -> Iterator[Encoded]:
        """Encode rows with images and documents, in groups of about MEDIA_BYTES."""
        unreadable = self._unreadable(rows)
        prompts = self._cut_prompts(rows, unreadable)
        fetched = self.fetch([media.addresses(parts) for parts in prompts])
        group_start = 0
        group_bytes = 0
        group = list[_EncodedRow]()
        for place, parts in enumerate(prompts):
            encoded_row = self._encode_row(parts, next(fetched))
            if place in unreadable:
                encoded_row = _EncodedRow(problem=unreadable[place])
            group.append(encoded_row)
            group_bytes += len(encoded_row.content)
            if group_bytes > MEDIA_BYTES:
                yield _encoded_group(rows.slice(group_start, len(group)), group)
                group_start += len(group)
                group_bytes = 0
                group = []
        yield _encoded_group(rows.slice(group_start), group)

    def stage(self, encoded: Encoded, numbers_by_id: dict[bytes, int]) -> Staged:
        """Give the request of each row its id and its number.

        `numbers_by_id` holds the number of each request of the part; new requests are added to it. A row without a
        request has a problem instead.
        """
        ids = self.frame.request_ids(encoded.contents)
        first_new = len(numbers_by_id)
        number_of = numbers_by_id.setdefault
        numbers = [
            None
            if row in encoded.problems
            else number_of(request_id, len(numbers_by_id))
            for row, request_id in enumerate(ids)
        ]
        new_count = len(numbers_by_id) - first_new
        if new_count == len(ids):
            requests = _requests(ids, encoded.contents, encoded.measures)
        else:
            new_rows = _first_rows(numbers, first_new)
            requests = _requests_of(new_rows, ids, encoded)
        return Staged(
            numbers=pa.array(numbers, pa.int32()),
            problems=_problem_column(encoded.problems, len(ids)),
            requests=requests,
        )

    def _unreadable(self, rows: pa.RecordBatch) -> dict[int, str]:
        """Return the places of rows of which no prompt can be made, each with the problem."""
        names_by_place = unreadable_rows(rows, self.template.columns)
        return {
            place: UNREADABLE.format(name=name)
            for place, name in names_by_place.items()
        }

    def _prompts(self, rows: pa.RecordBatch, unreadable: Mapping[int, str]) -> pa.Array:
        """Render one prompt for each row; an empty one for those that cannot be read."""
        if not unreadable:
            return self._readable(self.template.render, rows)
        is_readable = _is_readable(rows.num_rows, unreadable)
        prompts = self._readable(self.template.render, rows.filter(is_readable))
        prompt_places = pc.if_else(is_readable, np.cumsum(is_readable) - 1, None)
        return pc.fill_null(prompts.take(prompt_places), "")

    def _cut_prompts(
        self, rows: pa.RecordBatch, unreadable: Mapping[int, str]
    ) -> list[list[str | media.Piece]]:
        """Render one prompt for each row, in parts; one without parts for those that cannot be read."""
        if not unreadable:
            return self._readable(self.template.cut, rows)
        is_readable = _is_readable(rows.num_rows, unreadable)
        prompts = iter(self._readable(self.template.cut, rows.filter(is_readable)))
        return [
            [] if place in unreadable else next(prompts)
            for place in range(rows.num_rows)
        ]

    def _readable(
        self, render: Callable[[pa.RecordBatch], T], rows: pa.RecordBatch
    ) -> T:
        """Render rows; repair text that is not valid UTF-8 where that is possible."""
        try:
            return render(rows)
        except UnicodeError:
            pass
        try:
            return render(repaired(rows))
        except UnicodeError:
            pass
        column_names = ", ".join(self.template.columns)
        raise SourceError(
            f"prompt ({column_names}): text inside a list, struct or map is not valid UTF-8: fix it in the source."
        )

    def _encode_row(
        self, parts: Sequence[str | media.Piece], read: media.Read
    ) -> _EncodedRow:
        """Encode one row, or return the problem."""
        if all(_is_blank(part) for part in parts):
            return _EncodedRow(problem=EMPTY)
        try:
            content = media.encode(parts, read, self._content_limit)
        except media.UnfitError as error:
            return _EncodedRow(problem=str(error))
        if content is None or len(content) > self._content_limit:
            return _EncodedRow(problem=TOO_LARGE)
        return _EncodedRow(content, measure(content, parts, read))

    @property
    def _content_limit(self) -> int:
        """Most bytes that the content of one request may have."""
        body_overhead = len(BODY_HEAD) + len(BODY_TAIL)
        return self.max_bytes - body_overhead - self.frame.item_overhead


def _is_readable(row_count: int, unreadable: Mapping[int, str]) -> pa.Array:
    return pa.array([place not in unreadable for place in range(row_count)])


def _is_empty(prompts: pa.Array) -> pa.Array:
    prompt_sizes = pc.binary_length(prompts)
    has_no_bytes = pc.equal(prompt_sizes, 0)
    return pc.or_(has_no_bytes, pc.utf8_is_space(prompts))


def _is_blank(part: str | media.Piece) -> bool:
    return not isinstance(part, media.Piece) and not part.strip()


def _encoded_group(
    rows: pa.RecordBatch, encoded_rows: Sequence[_EncodedRow]
) -> Encoded:
    contents = pa.array([row.content for row in encoded_rows], pa.large_binary())
    measures = [row.measure for row in encoded_rows]
    problems = {
        place: row.problem
        for place, row in enumerate(encoded_rows)
        if row.problem is not None
    }
    return Encoded(rows, contents, problems, measures)


def _true_places(flags: pa.Array) -> list[int]:
    """Return the places at which a flag is set."""
    places: list[int] = np.flatnonzero(flags).tolist()
    return places


def _problem_column(problems: Mapping[int, str], row_count: int) -> pa.Array:
    if not problems:
        return pa.nulls(row_count, pa.string())
    return pa.array([problems.get(row) for row in range(row_count)], pa.string())


def _first_rows(numbers: Sequence[int | None], first_new: int) -> list[int]:
    """Return the row where each number from `first_new` on occurs first."""
    row_of_number = dict[int, int]()
    for row, number in enumerate(numbers):
        if number is None or number < first_new:
            continue
        row_of_number.setdefault(number, row)
    return list(row_of_number.values())


def _requests_of(rows: list[int], ids: list[bytes], encoded: Encoded) -> pa.RecordBatch:
    """Return the requests of some rows."""
    places = pa.array(rows, pa.int64())
    row_contents = encoded.contents.take(places)
    row_ids = [ids[row] for row in rows]
    measures = encoded.measures
    if measures is None:
        return _requests(row_ids, row_contents, None)
    row_measures = [measures[row] for row in rows]
    return _requests(row_ids, row_contents, row_measures)


def _requests(
    ids: list[bytes], contents: pa.Array, measures: Sequence[Measure] | None
) -> pa.RecordBatch:
    content_sizes = pc.binary_length(contents)
    columns = [pa.array(ids, ID), contents, content_sizes.cast(pa.int32())]
    if measures is None:
        return pa.RecordBatch.from_arrays(columns, schema=REQUESTS)
    text_sizes = [content.text_size for content in measures]
    media_tokens = [content.media_tokens for content in measures]
    columns.append(pa.array(text_sizes, pa.int32()))
    columns.append(pa.array(media_tokens, pa.int64()))
    return pa.RecordBatch.from_arrays(columns, schema=MEDIA_REQUESTS)


def rows_schema(source: pa.Schema, kept: Sequence[str]) -> pa.Schema:
    """Return the schema of staged rows: the kept columns, the number of the request in its part, and a problem."""
    return pa.schema(
        [
            *(source.field(name) for name in kept),
            pa.field(REQUEST, pa.int32()),
            pa.field(PROBLEM, pa.string()),
        ]
    )
