"""A block of result lines read into Arrow, without a Python object a line: only what a plain answer needs.

Arrow's reader is stricter than the careful one of `lines`: where it does not take a block, nothing is said of its lines
here, and the careful one reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json

_COUNT, _WORD = pa.int64(), pa.string()
_USAGE = pa.struct(
    [
        ("input_tokens", _COUNT),
        ("output_tokens", _COUNT),
        ("cache_creation_input_tokens", _COUNT),
        ("cache_read_input_tokens", _COUNT),
        (
            "cache_creation",
            pa.struct([("ephemeral_5m_input_tokens", _COUNT), ("ephemeral_1h_input_tokens", _COUNT)]),
        ),
        ("service_tier", _WORD),
        ("inference_geo", _WORD),
        ("server_tool_use", pa.struct([("web_search_requests", _COUNT), ("web_fetch_requests", _COUNT)])),
    ]
)
_MESSAGE = pa.struct(
    [
        ("content", pa.list_(pa.struct([("type", _WORD), ("text", _WORD)]))),
        ("model", _WORD),
        ("stop_reason", _WORD),
        ("usage", _USAGE),
    ]
)
_LINE = pa.schema([("custom_id", _WORD), ("result", pa.struct([("type", _WORD), ("message", _MESSAGE)]))])
_PARSE = json.ParseOptions(explicit_schema=_LINE, unexpected_field_behavior="ignore")


@dataclass(frozen=True)
class Scan:
    """A block of whole lines, and one row for each of them; None where Arrow does not take it."""

    block: bytes
    rows: pa.StructArray | None


def scan(block: bytes) -> Scan:
    """Read a block of whole lines. Holds no lock of Python's while it reads.

    Each line must be one object, and none may be blank: Arrow reads two objects of a line as two rows, and passes over
    blank lines, so that the number of rows alone would not show which line a row is.
    """
    rows = read(pa.py_buffer(block), _PARSE)
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    objects = block.count(b"}\n{") + 1
    is_plain = rows is not None and len(rows) == lines == objects
    return Scan(block, rows if is_plain else None)


def read(block: pa.Buffer, parse: json.ParseOptions) -> pa.StructArray | None:
    """Read JSON values, a row each; None where Arrow does not take them."""
    try:
        options = json.ReadOptions(use_threads=False, block_size=block.size + 1)
        table = json.read_json(pa.BufferReader(block), options, parse)
        table.validate(full=True)
    except (pa.ArrowException, ValueError, OverflowError):
        return None
    rows = table.combine_chunks().to_struct_array()
    return rows.combine_chunks() if isinstance(rows, pa.ChunkedArray) else rows


def part(rows: pa.StructArray, *names: str) -> pa.Array:
    """Take one field out of nested rows; null where a row above it is null."""
    return reduce(pc.struct_field, names, rows)
