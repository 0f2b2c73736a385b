"""Read the common result a column at a time: a message that ended by itself, whose content is one text, an answer.

Its rows are the same as those of `judge`; all other lines are left to `judge`, one by one.
"""

from __future__ import annotations

import re
from functools import reduce
from itertools import compress
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.json_blocks import nested_field
from nightbatch.land.columns import Columns
from nightbatch.land.landed_schema import all_of
from nightbatch.land.scan import Scan
from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.bulk.answers import Parsed
from nightbatch.messages.outcome import TABLE, Status
from nightbatch.messages.usage import BATCH
from nightbatch.money.billing.charge import ABSURD, is_absurd
from nightbatch.money.prices import SERVER_TOOLS
from nightbatch.money.server_tools import tool_uses

_decoder = msgspec.json.Decoder()
_TOOL_USES = re.compile(rb'"server_tool_use"\s*:\s*(\{[^{}]*\}|\{)')
_STOPS_OF_ANSWERS = pa.array(
    [
        stop
        for (result_type, stop), status in TABLE.items()
        if result_type == "succeeded" and status is Status.ANSWERED
    ],
    pa.string(),
)


class Pick(NamedTuple):
    """A block, the plain messages in it (None if it could not be scanned), which lines those are, and their texts.

    parsed: the parsed texts; None if they are parsed one by one.
    """

    block: bytes
    rows: pa.StructArray | None
    lines: np.ndarray
    texts: pa.Array
    parsed: Parsed | None


class Plain(NamedTuple):
    """Plain answers: their custom_ids, the hashes of their texts, their columns; and all other lines."""

    custom_ids: pa.Array
    text_hashes: np.ndarray
    columns: Columns
    rest: bytes


def pick(scanned: Scan, answer: AnswerType) -> Pick:
    """Pick the plain messages out of a block, and parse their texts as far as another thread can."""
    rows = scanned.rows
    if rows is None or _has_other_tools(scanned.block, rows):
        no_lines = np.empty(0, bool)
        no_texts = pa.array([], pa.string())
        return Pick(scanned.block, None, no_lines, no_texts, None)
    is_plain = _plain(rows)
    if not is_plain.all():
        rows = rows.filter(pa.array(is_plain))
    texts = _texts(rows)
    parsed = answer.parse(texts)
    return Pick(scanned.block, rows, is_plain, texts, parsed)


def plain_answers(picked: Pick, answer: AnswerType) -> Plain | None:
    """Lay out the plain messages that are answers as columns; None if the block could not be scanned."""
    rows = picked.rows
    if rows is None:
        return None
    texts = picked.texts
    answer_lines = picked.lines
    values, is_answer = answer.read_all(texts, picked.parsed)
    if not is_answer.all():
        answer_lines = answer_lines.copy()
        answer_lines[answer_lines] = is_answer
        answer_mask = pa.array(is_answer)
        rows = rows.filter(answer_mask)
        texts = texts.filter(answer_mask)
        values = values.filter(answer_mask)
    return Plain(
        custom_ids=nested_field(rows, "custom_id"),
        text_hashes=_text_hashes(texts),
        columns=_columns(rows, texts, values),
        rest=_other_lines(picked.block, answer_lines),
    )


def _other_lines(block: bytes, answer_lines: np.ndarray) -> bytes:
    """Return the lines of a block that are not plain answers."""
    if answer_lines.all():
        return b""
    whole_lines = filter(None, block.split(b"\n"))
    return b"\n".join(compress(whole_lines, ~answer_lines))


def _text_hashes(texts: pa.Array) -> np.ndarray:
    text_bytes = texts.cast(pa.binary()).to_pylist()
    return np.fromiter(map(hash, text_bytes), np.int64, len(texts))


def _plain(rows: pa.StructArray) -> np.ndarray:
    """Return which rows are messages with one text block that ended by themselves and report their usage."""
    message = nested_field(rows, "result", "message")
    block_counts = pc.list_value_length(nested_field(message, "content"))
    rules = [
        pc.equal(block_counts, 1),
        nested_field(rows, "custom_id").is_valid(),
        pc.equal(nested_field(rows, "result", "type"), "succeeded"),
        pc.is_in(nested_field(message, "stop_reason"), value_set=_STOPS_OF_ANSWERS),
        nested_field(message, "usage").is_valid(),
        _unused(message, "web_search_requests"),
        _unused(message, "web_fetch_requests"),
    ]
    is_candidate = pc.fill_null(reduce(pc.and_, rules), fill_value=False)
    candidates = rows.filter(is_candidate)
    content_blocks = nested_field(candidates, "result", "message", "content").flatten()
    is_text_block = pc.equal(nested_field(content_blocks, "type"), "text")
    text_lengths = pc.binary_length(nested_field(content_blocks, "text"))
    has_text = pc.and_(is_text_block, pc.greater(text_lengths, 0))
    is_plain = np.array(is_candidate)
    is_plain[is_plain] = np.asarray(pc.fill_null(has_text, fill_value=False))
    return is_plain


def _unused(message: pa.StructArray, tool: str) -> pa.Array:
    """Return which messages did not use a tool that is billed by use; the others are judged one by one."""
    use_counts = nested_field(message, "usage", "server_tool_use", tool)
    return pc.equal(pc.fill_null(use_counts, 0), 0)


def _has_other_tools(block: bytes, rows: pa.StructArray) -> bool:
    """Check whether a block reports uses of a tool that has no column here: they are billed and would be missed."""
    reported_uses = nested_field(rows, "result", "message", "usage", "server_tool_use")
    report_count = len(reported_uses) - reported_uses.null_count
    if not report_count:
        return False
    use_texts = _TOOL_USES.findall(block)
    try:
        other_count = sum(_other_tool_uses(text) for text in set(use_texts))
    except msgspec.DecodeError:
        return True
    if other_count:
        return True
    return bool(len(use_texts) < report_count)


def _other_tool_uses(use_text: bytes) -> int:
    """Count the uses of tools that have no column, in a `server_tool_use` object."""
    _, _, other_count = tool_uses(_decoder.decode(use_text))
    return other_count


def _texts(rows: pa.StructArray) -> pa.Array:
    return nested_field(
        nested_field(rows, "result", "message", "content").flatten(), "text"
    )


def _columns(rows: pa.StructArray, texts: pa.Array, values: pa.Array) -> Columns:
    message = nested_field(rows, "result", "message")
    usage = nested_field(message, "usage")
    row_count = len(rows)
    no_errors = pa.nulls(row_count, pa.string())
    no_tools = np.zeros((row_count, len(SERVER_TOOLS)), dtype=np.int64)
    return Columns(
        statuses=all_of(Status.ANSWERED, row_count),
        errors=no_errors,
        values=values,
        texts=texts,
        models=nested_field(message, "model"),
        stops=nested_field(message, "stop_reason"),
        tiers=_tiers(usage),
        regions=nested_field(usage, "inference_geo"),
        tokens=_tokens(usage),
        tools=no_tools,
    )


def _tiers(usage: pa.StructArray) -> pa.Array:
    """Return the service tier of each message; that of batches where the API names none."""
    service_tiers = nested_field(usage, "service_tier")
    is_empty = pc.equal(service_tiers, "")
    has_no_tier = pc.fill_null(is_empty, fill_value=True)
    return pc.if_else(has_no_tier, BATCH, service_tiers)


def _tokens(usage: pa.StructArray) -> np.ndarray:
    """Lay out tokens by class, one row per message, with the same rules as `judge`."""
    input_tokens = _counts(usage, "input_tokens")
    output_tokens = _counts(usage, "output_tokens")
    cache_reads = _counts(usage, "cache_read_input_tokens")
    all_writes = _counts(usage, "cache_creation_input_tokens")
    by_age = nested_field(usage, "cache_creation")
    hour_writes = _counts(by_age, "ephemeral_1h_input_tokens")
    five_minute_writes = _counts(by_age, "ephemeral_5m_input_tokens")
    other_writes = np.maximum(0, all_writes - hour_writes)
    five_minute_writes = np.where(
        five_minute_writes != 0, five_minute_writes, other_writes
    )
    is_absurd_write = is_absurd(all_writes[:, None])
    five_minute_writes = np.where(is_absurd_write, ABSURD, five_minute_writes)
    token_classes = [
        input_tokens,
        five_minute_writes,
        hour_writes,
        cache_reads,
        output_tokens,
    ]
    return np.stack(token_classes, axis=1)


def _counts(rows: pa.StructArray, name: str) -> np.ndarray:
    """Read a field of counts; 0 where it is null."""
    return np.asarray(pc.fill_null(nested_field(rows, name), 0))
