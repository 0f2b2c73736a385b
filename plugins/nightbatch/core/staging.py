"""The Arrow schemas of what a snapshot and a claim hold, and how rows are staged as requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from nightbatch.core.errors import InputError
from nightbatch.core.ids import ID_BYTES
from nightbatch.core.request import BODY_HEAD, BODY_TAIL, Frame, encode_content
from nightbatch.core.template import Template

ID = pa.binary(ID_BYTES)
REQUEST_ID, PROBLEM = "_request_id", "_problem"
REQUESTS = pa.schema([pa.field("id", ID, nullable=False), pa.field("content", pa.large_binary(), nullable=False)])
CLAIM = pa.schema([pa.field("id", ID, nullable=False), pa.field("part", pa.int32(), nullable=False)])

EMPTY, TOO_LARGE = "the prompt is empty after rendering", "the request is larger than max_batch_bytes"


@dataclass(frozen=True)
class Staged:
    """One batch of rows: each row's request id (null where there is a problem), and the distinct requests."""

    ids: pa.Array
    problems: pa.Array
    requests: pa.RecordBatch


@dataclass(frozen=True)
class Stager:
    """Turns rows into requests."""

    template: Template
    frame: Frame
    max_bytes: int

    def stage(self, rows: pa.RecordBatch) -> Staged:
        """Render, encode and name the request of each row. A row that cannot be asked has a problem instead."""
        prompts = self.template.render(rows)
        contents = [encode_content(prompt) for prompt in prompts]
        problems = [self._problem(prompt, content) for prompt, content in zip(prompts, contents, strict=True)]
        ids = self.frame.request_ids(contents)
        asked = [i if p is None else None for i, p in zip(ids, problems, strict=True)]
        distinct = {i: content for i, content in zip(asked, contents, strict=True) if i is not None}
        return Staged(
            pa.array(asked, ID),
            pa.array(problems, pa.string()),
            pa.RecordBatch.from_arrays(
                [pa.array(distinct.keys(), ID), pa.array(distinct.values(), pa.large_binary())], schema=REQUESTS
            ),
        )

    def _problem(self, prompt: str, content: bytes) -> str | None:
        if not prompt.strip():
            return EMPTY
        room = self.max_bytes - len(BODY_HEAD) - len(BODY_TAIL)
        return TOO_LARGE if len(content) + self.frame.item_overhead > room else None


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
