"""JSON values read into Arrow, a row each."""

from __future__ import annotations

from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json


def read(block: pa.Buffer, parse: json.ParseOptions) -> pa.StructArray | None:
    """Read JSON values, a row each; None where Arrow does not take them."""
    try:
        read_options = json.ReadOptions(use_threads=False, block_size=block.size + 1)
        table = json.read_json(pa.BufferReader(block), read_options, parse)
        table.validate(full=True)
    except (pa.ArrowException, ValueError, OverflowError):
        return None
    rows = table.combine_chunks().to_struct_array()
    if isinstance(rows, pa.ChunkedArray):
        return rows.combine_chunks()
    return rows


def nested_field(rows: pa.StructArray, *names: str) -> pa.Array:
    """Take one field out of nested rows; null where a row above it is null."""
    return reduce(pc.struct_field, names, rows)
