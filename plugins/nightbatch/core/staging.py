"""The Arrow schemas of what a snapshot and a claim hold, and how rows are staged as requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core.errors import InputError
from nightbatch.core.ids import ID_BYTES
from nightbatch.core.request import BODY_HEAD, BODY_TAIL, Frame, encode_contents
from nightbatch.core.template import Template

ID = pa.binary(ID_BYTES)
REQUEST_ID, PROBLEM = "_request_id", "_problem"
REQUESTS = pa.schema(
    [
        pa.field("id", ID, nullable=False),
        pa.field("content", pa.large_binary(), nullable=False),
        pa.field("size", pa.int32(), nullable=False),
    ]
)
"""`size`: bytes of the content."""
CLAIM = pa.schema([pa.field("id", ID, nullable=False), pa.field("part", pa.int32(), nullable=False)])

EMPTY, TOO_LARGE = "the prompt is empty after rendering", "the request is larger than max_batch_bytes"


@dataclass(frozen=True)
class Staged:
    """One batch of rows: each row's request id (null where there is a problem), and the requests not seen before."""

    ids: pa.Array
    problems: pa.Array
    requests: pa.RecordBatch


@dataclass(frozen=True)
class Stager:
    """Turns rows into requests."""

    template: Template
    frame: Frame
    max_bytes: int

    def stage(self, rows: pa.RecordBatch, seen: set[bytes]) -> Staged:
        """Render, encode and name the request of each row; `seen` takes in the new ids.

        A row that cannot be asked has a problem instead.
        """
        prompts = self.template.render(rows)
        contents = encode_contents(prompts)
        ids: list[bytes | None] = list(self.frame.request_ids(contents))
        problems = self._problems(prompts, contents)
        for row in problems:
            ids[row] = None
        fresh = {i: content for i, content in zip(ids, contents, strict=True) if i is not None and i not in seen}
        seen.update(fresh)
        told = [problems.get(row) for row in range(len(ids))] if problems else pa.nulls(len(ids))
        return Staged(pa.array(ids, ID), pa.array(told, pa.string()), _requests(fresh))

    def _problems(self, prompts: Sequence[str], contents: Sequence[bytes]) -> dict[int, str]:
        room = self.max_bytes - len(BODY_HEAD) - len(BODY_TAIL) - self.frame.item_overhead
        large = {row: TOO_LARGE for row, content in enumerate(contents) if len(content) > room}
        return large | {row: EMPTY for row, prompt in enumerate(prompts) if not prompt or prompt.isspace()}


def _requests(fresh: dict[bytes, bytes]) -> pa.RecordBatch:
    contents = pa.array(fresh.values(), pa.large_binary())
    sizes = pc.binary_length(contents).cast(pa.int32())
    return pa.RecordBatch.from_arrays([pa.array(fresh.keys(), ID), contents, sizes], schema=REQUESTS)


def rows_schema(source: pa.Schema, kept: Sequence[str]) -> pa.Schema:
    """Return the schema of staged rows: the kept columns as they were, the request id, the problem."""
    fields = [source.field(name) for name in kept]
    return pa.schema([*fields, pa.field(REQUEST_ID, ID), pa.field(PROBLEM, pa.string())])


def unify(first: tuple[str, pa.Schema], other: tuple[str, pa.Schema], columns: Sequence[str]) -> pa.Schema:
    """Merge the schemas of two files in these columns, or name the file and column that differ."""
    fields = []
    for name in columns:
        one, two = first[1].field(name), other[1].field(name)
        if pa.types.is_null(one.type) or one.type == two.type or pa.types.is_null(two.type):
            fields.append(two if pa.types.is_null(one.type) else one)
        else:
            raise InputError(
                f"column {name!r} is {one.type} in {first[0]} but {two.type} in {other[0]}: "
                "write both with the same type."
            )
    return pa.schema([field.with_nullable(True).remove_metadata() for field in fields])
