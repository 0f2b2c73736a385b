"""Columns of rows, some of which have the same value in every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa


def with_constants(
    rows: pa.RecordBatch, names: Sequence[str], constants: Mapping[str, pa.Scalar]
) -> list[pa.Array]:
    """Return the columns of these names: those of the rows, and the constants repeated for those they lack."""
    row_names = set(rows.schema.names)
    row_count = rows.num_rows
    return [
        rows.column(name)
        if name in row_names
        else pa.repeat(constants[name], row_count)
        for name in names
    ]
