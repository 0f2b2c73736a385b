"""The common result, a column at a time: a message that ended by itself and says one text, which is an answer.

What it makes of a line is what `judge` makes of it; lines that are not so plain are left to `judge`, one by one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import reduce
from itertools import compress
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json

from nightbatch.columnar.json_blocks import part, read
from nightbatch.land.columns import Columns
from nightbatch.land.landed_schema import all_of
from nightbatch.messages.answer_bulk import Parsed
from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.outcome import TABLE, Status
from nightbatch.messages.usage import BATCH
from nightbatch.money.billing import ABSURD, is_absurd
from nightbatch.money.prices import SERVER_TOOLS
from nightbatch.money.server_tools import tool_uses

_decoder = msgspec.json.Decoder()
_TOOL_USES = re.compile(rb'"server_tool_use"\s*:\s*(\{[^{}]*\}|\{)')
_ENDED = pa.array(
    [
        stop
        for (kind, stop), status in TABLE.items()
        if kind == "succeeded" and status is Status.ANSWERED
    ],
    pa.string(),
)


class Pick(NamedTuple):
    """A block, and the plain messages in it (None: it could not be scanned): which lines those are, and their texts.

    parsed: what came of parsing the texts; None where they are parsed one by one.
    """

    block: bytes
    rows: pa.StructArray | None
    lines: np.ndarray
    texts: pa.Array
    parsed: Parsed | None


class Plain(NamedTuple):
    """Plain answers: whose they are (custom_ids), a hash of each one's words, their columns; and all other lines."""

    names: pa.Array
    said: np.ndarray
    columns: Columns
    rest: bytes


def pick(scanned: Scan, answer: AnswerType) -> Pick:
    """Pick the plain messages out of a block, and parse their texts as far as this can be done beside other work."""
    rows = scanned.rows
    if rows is None or _has_other_tools(scanned.block, rows):
        return Pick(
            scanned.block, None, np.empty(0, bool), pa.array([], pa.string()), None
        )
    lines = _plain(rows)
    rows = rows if lines.all() else rows.filter(pa.array(lines))
    texts = _texts(rows)
    return Pick(scanned.block, rows, lines, texts, answer.parse(texts))


def plain(picked: Pick, answer: AnswerType) -> Plain | None:
    """Lay out the plain messages that are answers in columns; None where the block could not be scanned."""
    block, rows, lines, texts, parsed = picked
    if rows is None:
        return None
    values, answers = answer.read_all(texts, parsed)
    if not answers.all():
        lines, fit = lines.copy(), pa.array(answers)
        lines[lines] = answers
        rows, texts, values = rows.filter(fit), texts.filter(fit), values.filter(fit)
    rest = (
        b""
        if lines.all()
        else b"\n".join(compress(filter(None, block.split(b"\n")), ~lines))
    )
    said = np.fromiter(
        map(hash, texts.cast(pa.binary()).to_pylist()), np.int64, len(texts)
    )
    return Plain(part(rows, "custom_id"), said, _columns(rows, texts, values), rest)


def _plain(rows: pa.StructArray) -> np.ndarray:
    """Tell which rows are messages of one text block that ended by themselves and say what they used."""
    message = part(rows, "result", "message")
    one = pc.equal(pc.list_value_length(part(message, "content")), 1)
    rules = [
        one,
        part(rows, "custom_id").is_valid(),
        pc.equal(part(rows, "result", "type"), "succeeded"),
        pc.is_in(part(message, "stop_reason"), value_set=_ENDED),
        part(message, "usage").is_valid(),
    ]
    rules += [
        _unused(message, tool) for tool in ("web_search_requests", "web_fetch_requests")
    ]
    so_far = pc.fill_null(reduce(pc.and_, rules), fill_value=False)
    block = part(rows.filter(so_far), "result", "message", "content").flatten()
    text = pc.and_(
        pc.equal(part(block, "type"), "text"),
        pc.greater(pc.binary_length(part(block, "text")), 0),
    )
    picked = np.array(so_far)
    picked[picked] = np.asarray(pc.fill_null(text, fill_value=False))
    return picked


def _unused(message: pa.StructArray, tool: str) -> pa.Array:
    """Tell which messages were made without a tool that is billed by use; the others are judged one by one."""
    return pc.equal(pc.fill_null(part(message, "usage", "server_tool_use", tool), 0), 0)


def _has_other_tools(block: bytes, rows: pa.StructArray) -> bool:
    """Tell whether a block reports uses of a tool that has no column, which would be billed and not seen here."""
    reported = part(rows, "result", "message", "usage", "server_tool_use")
    count = len(reported) - reported.null_count
    if not count:
        return False
    uses = _TOOL_USES.findall(block)
    try:
        others = sum(tool_uses(_decoder.decode(use))[2] for use in set(uses))
    except msgspec.DecodeError:
        return True
    return others > 0 or len(uses) < count


def _texts(rows: pa.StructArray) -> pa.Array:
    return part(part(rows, "result", "message", "content").flatten(), "text")


def _columns(rows: pa.StructArray, texts: pa.Array, values: pa.Array) -> Columns:
    message = part(rows, "result", "message")
    usage = part(message, "usage")
    tier = part(usage, "service_tier")
    return Columns(
        statuses=all_of(Status.ANSWERED, len(rows)),
        errors=pa.nulls(len(rows), pa.string()),
        values=values,
        texts=texts,
        models=part(message, "model"),
        stops=part(message, "stop_reason"),
        tiers=pc.if_else(
            pc.fill_null(pc.equal(tier, ""), fill_value=True), BATCH, tier
        ),
        regions=part(usage, "inference_geo"),
        tokens=_tokens(usage),
        tools=np.zeros((len(rows), len(SERVER_TOOLS)), dtype=np.int64),
    )


def _tokens(usage: pa.StructArray) -> np.ndarray:
    """Lay out tokens by class, as `results` does for one."""
    read, said, new, written = (
        _whole(part(usage, name))
        for name in (
            "cache_read_input_tokens",
            "output_tokens",
            "input_tokens",
            "cache_creation_input_tokens",
        )
    )
    hour, five = (
        _whole(part(usage, "cache_creation", f"ephemeral_{age}_input_tokens"))
        for age in ("1h", "5m")
    )
    five = np.where(five != 0, five, np.maximum(0, written - hour))
    five = np.where(is_absurd(written[:, None]), ABSURD, five)
    return np.stack([new, five, hour, read, said], axis=1)


def _whole(counts: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(counts, 0))


_COUNT, _WORD = pa.int64(), pa.string()
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
