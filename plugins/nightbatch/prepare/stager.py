"""The Arrow schemas of what a snapshot and a claim hold, and how rows are staged as requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.id_lookup import ID
from nightbatch.columnar.json_strings import quoted
from nightbatch.columnar.utf8 import repaired
from nightbatch.errors import InputError, SourceError
from nightbatch.messages.request import BODY_HEAD, BODY_TAIL, Frame
from nightbatch.money.media_tokens import Measure, measure
from nightbatch.spec.published_columns import PROBLEM, REQUEST
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
MEDIA_REQUESTS = REQUESTS.append(
    pa.field("text_size", pa.int32(), nullable=False)
).append(pa.field("media_tokens", pa.int64(), nullable=False))
"""What is staged of a template with images or documents. `text_size`: bytes of the content without their data;
`media_tokens`: how many tokens they may have at most."""

EMPTY, TOO_LARGE = (
    "the prompt is empty after rendering",
    "the request is larger than max_batch_bytes",
)
MEDIA_BYTES = 32 * 1024 * 1024
"""Rows with images and documents are staged together while their requests take about this."""


@dataclass(frozen=True)
class Encoded:
    """One batch of rows, the content of each one's request (JSON, large_binary), and why some rows cannot be asked.

    measures: of contents with images or documents, what each may cost at most.
    """

    rows: pa.RecordBatch
    contents: pa.Array
    problems: dict[int, str]
    measures: Sequence[Measure] | None = None


class _EncodedRow(NamedTuple):
    """The content of one row's request, or why it cannot be asked."""

    content: bytes = b""
    measure: Measure = Measure(0, 0)
    problem: str | None = None


@dataclass(frozen=True)
class Staged:
    """One batch of rows: which request of its part each row asks (null where there is a problem), and those it adds."""

    numbers: pa.Array
    problems: pa.Array
    requests: pa.RecordBatch


@dataclass(frozen=True)
class Stager:
    """Turns rows into requests: `encode` needs little of Python's lock, `stage` names and numbers what it makes."""

    template: Template
    frame: Frame
    max_bytes: int
    fetch: media.Fetch = media.no_fetch

    @property
    def schema(self) -> pa.Schema:
        """The schema of the requests that are staged."""
        return MEDIA_REQUESTS if self.template.has_media else REQUESTS

    def encode(self, rows: pa.RecordBatch) -> Encoded:
        """Render and encode what each row asks, where rows have neither images nor documents."""
        prompts = self._readable(self.template.render, rows)
        empty = pc.or_(
            pc.equal(pc.binary_length(prompts), 0), pc.utf8_is_space(prompts)
        )
        contents = quoted(prompts)
        too_large = pc.greater(pc.binary_length(contents), self._room)
        problems = dict.fromkeys(_true(too_large), TOO_LARGE) | dict.fromkeys(
            _true(empty), EMPTY
        )
        return Encoded(rows, contents, problems)

    def encode_media(self, rows: pa.RecordBatch) -> Iterator[Encoded]:
        """Encode rows with images and documents, as many together as take about MEDIA_BYTES."""
        cut = self._readable(self.template.cut, rows)
        read = self.fetch([media.addresses(parts) for parts in cut])
        start = size = 0
        encoded = list[_EncodedRow]()
        for parts in cut:
            encoded.append(self._media(parts, next(read)))
            size += len(encoded[-1].content)
            if size > MEDIA_BYTES:
                yield _together(rows.slice(start, len(encoded)), encoded)
                start += len(encoded)
                size = 0
                encoded = []
        yield _together(rows.slice(start), encoded)

    def stage(self, encoded: Encoded, seen: dict[bytes, int]) -> Staged:
        """Name the request of each row.

        `seen` numbers the requests of the part, and takes in those that are new. A row that cannot be asked has a
        problem instead.
        """
        contents, problems, measures = (
            encoded.contents,
            encoded.problems,
            encoded.measures,
        )
        ids, before = self.frame.request_ids(contents), len(seen)
        number = seen.setdefault
        numbers = [
            None if row in problems else number(name, len(seen))
            for row, name in enumerate(ids)
        ]
        told = (
            [problems.get(row) for row in range(len(ids))]
            if problems
            else pa.nulls(len(ids))
        )
        if len(seen) - before < len(ids):
            fresh = _firsts(numbers, before)
            ids, contents = (
                [ids[row] for row in fresh],
                contents.take(pa.array(fresh, pa.int64())),
            )
            measures = None if measures is None else [measures[row] for row in fresh]
        requests = _requests(ids, contents, measures)
        return Staged(
            pa.array(numbers, pa.int32()), pa.array(told, pa.string()), requests
        )

    def _readable(
        self, render: Callable[[pa.RecordBatch], T], rows: pa.RecordBatch
    ) -> T:
        """Render rows; where text is not valid UTF-8, what it can be repaired to."""
        try:
            return render(rows)
        except UnicodeError:
            pass
        try:
            return render(repaired(rows))
        except UnicodeError:
            pass
        named = ", ".join(self.template.columns)
        raise SourceError(
            f"prompt ({named}): text inside a list, struct or map is not valid UTF-8: mend it in the source."
        )

    def _media(
        self, parts: Sequence[str | media.Piece], read: media.Read
    ) -> _EncodedRow:
        """Encode one row, or say why it cannot be asked."""
        if not any(isinstance(part, media.Piece) or part.strip() for part in parts):
            return _EncodedRow(problem=EMPTY)
        try:
            content = media.encode(parts, read, self._room)
        except media.UnfitError as error:
            return _EncodedRow(problem=str(error))
        if content is None or len(content) > self._room:
            return _EncodedRow(problem=TOO_LARGE)
        return _EncodedRow(content, measure(content, parts, read))

    @property
    def _room(self) -> int:
        """Most bytes that the content of one request may have."""
        return (
            self.max_bytes - len(BODY_HEAD) - len(BODY_TAIL) - self.frame.item_overhead
        )


def _together(rows: pa.RecordBatch, encoded: Sequence[_EncodedRow]) -> Encoded:
    contents = pa.array([row.content for row in encoded], pa.large_binary())
    problems = {
        place: row.problem
        for place, row in enumerate(encoded)
        if row.problem is not None
    }
    return Encoded(rows, contents, problems, [row.measure for row in encoded])


def _true(flags: pa.Array) -> list[int]:
    """Name the places at which a flag is set."""
    places: list[int] = np.flatnonzero(flags).tolist()
    return places


def _firsts(numbers: Sequence[int | None], before: int) -> list[int]:
    """Name the rows at which a number that is not below `before` first stands."""
    firsts = dict[int, int]()
    for row, number in enumerate(numbers):
        if number is not None and number >= before:
            firsts.setdefault(number, row)
    return list(firsts.values())


def _requests(
    ids: list[bytes], contents: pa.Array, measures: Sequence[Measure] | None
) -> pa.RecordBatch:
    sizes = pc.binary_length(contents).cast(pa.int32())
    columns = [pa.array(ids, ID), contents, sizes]
    if measures is None:
        return pa.RecordBatch.from_arrays(columns, schema=REQUESTS)
    columns.append(pa.array([measured.text_size for measured in measures], pa.int32()))
    columns.append(
        pa.array([measured.media_tokens for measured in measures], pa.int64())
    )
    return pa.RecordBatch.from_arrays(columns, schema=MEDIA_REQUESTS)


def rows_schema(source: pa.Schema, kept: Sequence[str]) -> pa.Schema:
    """Return the schema of staged rows: the kept columns as they were, which request of the part it asks, a problem."""
    fields = [source.field(name) for name in kept]
    return pa.schema(
        [*fields, pa.field(REQUEST, pa.int32()), pa.field(PROBLEM, pa.string())]
    )


def unify(
    first: tuple[str, pa.Schema], other: tuple[str, pa.Schema], columns: Sequence[str]
) -> pa.Schema:
    """Merge the schemas of two files in these columns, or name the file and column that differ."""
    fields = []
    for name in columns:
        one, two = first[1].field(name), other[1].field(name)
        if (
            pa.types.is_null(one.type)
            or _logical(one.type) == _logical(two.type)
            or pa.types.is_null(two.type)
        ):
            fields.append(
                two if pa.types.is_null(one.type) else _plainer(one, two.type)
            )
        else:
            raise InputError(
                f"column {name!r} is {one.type} in {first[0]} but {two.type} in {other[0]}: "
                "write both with the same type."
            )
    return pa.schema([field.with_nullable(True).remove_metadata() for field in fields])


def _plainer(one: pa.Field, other: pa.DataType) -> pa.Field:
    """Keep a field whose type is the other's or null's; of two encodings of one type keep neither."""
    same = one.type == other or pa.types.is_null(other)
    return one if same else one.with_type(_logical(other))


def _logical(kind: pa.DataType) -> pa.DataType:
    """Return what a type means, whether it is a dictionary or has 64-bit offsets."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_large_string(kind):
        return pa.string()
    return pa.binary() if pa.types.is_large_binary(kind) else kind
