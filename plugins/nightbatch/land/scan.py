"""Read a block of result lines into Arrow rows, a row for each line."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from pyarrow import json

from nightbatch.columnar.json_blocks import read

_COUNT = pa.int64()
_WORD = pa.string()
_USAGE = pa.struct(
    [
        ("input_tokens", _COUNT),
        ("output_tokens", _COUNT),
        ("cache_creation_input_tokens", _COUNT),
        ("cache_read_input_tokens", _COUNT),
        (
            "cache_creation",
            pa.struct(
                [
                    ("ephemeral_5m_input_tokens", _COUNT),
                    ("ephemeral_1h_input_tokens", _COUNT),
                ]
            ),
        ),
        ("service_tier", _WORD),
        ("inference_geo", _WORD),
        (
            "server_tool_use",
            pa.struct(
                [("web_search_requests", _COUNT), ("web_fetch_requests", _COUNT)]
            ),
        ),
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
_LINE = pa.schema(
    [
        ("custom_id", _WORD),
        ("result", pa.struct([("type", _WORD), ("message", _MESSAGE)])),
    ]
)
_PARSE = json.ParseOptions(explicit_schema=_LINE, unexpected_field_behavior="ignore")


@dataclass(frozen=True)
class Scan:
    """A block of whole lines, and one row for each of them; None if Arrow cannot read it."""

    block: bytes
    rows: pa.StructArray | None


def scan(block: bytes) -> Scan:
    """Read a block of whole lines. Releases Python's lock while it reads.

    Each line must be one object, and none may be blank: Arrow reads two objects on one line as two rows, and skips
    blank lines, so the number of rows alone would not show which line a row comes from.
    """
    rows = read(pa.py_buffer(block), _PARSE)
    if rows is None or not _is_row_per_line(rows, block):
        return Scan(block, None)
    return Scan(block, rows)


def _is_row_per_line(rows: pa.StructArray, block: bytes) -> bool:
    line_count = _line_count(block)
    object_count = block.count(b"}\n{") + 1
    return len(rows) == line_count == object_count


def _line_count(block: bytes) -> int:
    line_count = block.count(b"\n")
    if block.endswith(b"\n"):
        return line_count
    return line_count + 1
