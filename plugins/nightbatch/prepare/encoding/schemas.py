"""The Arrow schemas of what a snapshot holds: its rows and its requests."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from nightbatch.columnar.id_lookup import ID
from nightbatch.spec.parameters.output_columns import PROBLEM, REQUEST

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


def rows_schema(source: pa.Schema, kept: Sequence[str]) -> pa.Schema:
    """Return the schema of staged rows: the kept columns, the number of the request in its part, and a problem."""
    kept_fields = [source.field(name) for name in kept]
    number_field = pa.field(REQUEST, pa.int32())
    problem_field = pa.field(PROBLEM, pa.string())
    return pa.schema([*kept_fields, number_field, problem_field])
