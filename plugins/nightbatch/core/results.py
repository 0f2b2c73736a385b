"""Result lines become landed rows: one Arrow row for each request of a shard, in the order the lines come.

Lines are decoded in blocks; a line that cannot be read counts as garbled. A stream that does not tally is read again,
and what was read before stays: each reading can only add.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from nightbatch.core.answer import AnswerType
from nightbatch.core.bill import Bill
from nightbatch.core.charges import charged, counted, decimals
from nightbatch.core.ids import ID_BYTES, BatchId
from nightbatch.core.outcome import Status, of_error, of_kind, of_stop
from nightbatch.core.price import Prices, Usage

COST = pa.decimal128(18, 12)


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class _CacheCreation(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None
    service_tier: str | None = None
    inference_geo: str | None = None


class _Message(msgspec.Struct, gc=False):
    content: list[_Block] = []
    model: str | None = None
    stop_reason: str | None = None
    usage: _Usage | None = None


class _Error(msgspec.Struct, gc=False):
    type: str = ""
    message: str = ""
    details: Any = None
    error: _Error | None = None

    @property
    def code(self) -> str:
        """The `error_code` among the details, if there is one."""
        return str(self.details.get("error_code") or "") if isinstance(self.details, dict) else ""


class _Result(msgspec.Struct, gc=False):
    type: str
    message: _Message | None = None
    error: _Error | None = None


class Line(msgspec.Struct, gc=False):
    """One line of a results stream."""

    custom_id: str
    result: _Result


class _Name(msgspec.Struct, gc=False):
    type: str = ""


class _OddLine(msgspec.Struct, gc=False):
    custom_id: str
    result: _Name


_lines = msgspec.json.Decoder(Line)
_odd_line = msgspec.json.Decoder(_OddLine)
_UNREADABLE = (msgspec.DecodeError, UnicodeError, ValueError, RecursionError)


@dataclass(slots=True)
class Landed:
    """What became of one request."""

    status: Status
    error: str | None = None
    text: str | None = None
    value: Any = None
    model: str | None = None
    stop_reason: str | None = None
    usage: Usage | None = None
    account: bool = False


def decode(block: bytes) -> Iterator[Line | None]:
    """Decode whole lines; None for one that is not a result line. Blank lines are passed over."""
    try:
        yield from _lines.decode_lines(block)
    except _UNREADABLE:
        for raw in block.split(b"\n"):
            if raw.strip():
                yield _decode_one(raw)


def _decode_one(raw: bytes) -> Line | None:
    with suppress(*_UNREADABLE):
        return _lines.decode(raw)
    with suppress(*_UNREADABLE):
        return _lines.decode(_without_surrogates(raw))
    with suppress(*_UNREADABLE):
        odd = _odd_line.decode(raw)
        return Line(custom_id=odd.custom_id, result=_Result(type=f"unreadable {odd.result.type}"))
    return None


def _without_surrogates(raw: bytes) -> bytes:
    """Replace halves of surrogate pairs, which JSON may escape but no text can hold."""
    return json.dumps(json.loads(raw), ensure_ascii=False).encode("utf-8", "replace")


def judge(result: _Result, answer: AnswerType) -> Landed:
    """Turn one result into what became of its request."""
    if result.type == "succeeded" and result.message is not None:
        return _judge_message(result.message, answer)
    if result.type == "errored":
        inner = (result.error and result.error.error) or result.error or _Error()
        status, account = of_error(inner.type, inner.message, inner.code)
        return Landed(status, error=f"{inner.type or 'error'}: {inner.message}", account=account)
    return Landed(*of_kind(result.type))


def _judge_message(message: _Message, answer: AnswerType) -> Landed:
    status, error = of_stop(message.stop_reason)
    text = _said(message, structured=answer.schema is not None)
    value = None
    if status is Status.ANSWERED:
        value, error = answer.read(text)
        status = Status.ANSWERED if error is None else Status.INVALID
    return Landed(status, error, text or None, value, message.model, message.stop_reason, _usage(message.usage))


def _said(message: _Message, *, structured: bool) -> str:
    """Return the model's words: all its text, or the input of the tool it calls.

    Of a structured answer only what follows the last tool counts: before it a model may say what it is about to do.
    """
    if len(message.content) == 1 and message.content[0].type == "text":
        return message.content[0].text or ""
    said: list[str] = []
    for block in message.content:
        if block.type == "text":
            said.append(block.text or "")
        elif structured and "tool" in block.type:
            said.clear()
    called = next((bytes(block.input).decode() for block in message.content if block.type == "tool_use"), "")
    if called and (structured and message.stop_reason == "tool_use"):
        return called
    return "".join(said) or called


def _usage(usage: _Usage | None) -> Usage:
    if usage is None:
        return Usage()
    split = usage.cache_creation
    written = usage.cache_creation_input_tokens or 0
    hour = (split and split.ephemeral_1h_input_tokens) or 0
    five = (split and split.ephemeral_5m_input_tokens) or max(0, written - hour)
    return Usage(
        input=usage.input_tokens or 0,
        cache_write_5m=five,
        cache_write_1h=hour,
        cache_read=usage.cache_read_input_tokens or 0,
        output=usage.output_tokens or 0,
        service_tier=usage.service_tier or "batch",
        inference_geo=usage.inference_geo,
    )


def landed_schema(answer: AnswerType) -> pa.Schema:
    """Return the schema of a landed shard; `text` keeps the model's own words for every request that has some."""
    return pa.schema(
        [
            pa.field("id", pa.binary(ID_BYTES), nullable=False),
            pa.field("status", pa.dictionary(pa.int8(), pa.string()), nullable=False),
            pa.field("error", pa.string()),
            pa.field("answer", answer.arrow),
            pa.field("text", pa.string()),
            pa.field("model", pa.string()),
            pa.field("stop_reason", pa.string()),
            pa.field("batch_id", pa.string()),
            *(pa.field(name, pa.int64()) for name in TOKENS),
            pa.field("service_tier", pa.string()),
            pa.field("cost_usd", COST),
        ]
    )


MOST_ERRORS = 200
TOKENS = ("input", "cache_write_5m", "cache_write_1h", "cache_read", "output")


@dataclass
class Landing:
    """Gather the results of one shard, each expected request once, and say what does not tally."""

    answer: AnswerType
    batch: BatchId
    prices: Prices
    waiting: set[bytes]
    asked_model: str = ""
    kinds: Counter[str] = field(default_factory=Counter)
    statuses: Counter[Status] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    """Lines of the last reading: garbled, unknown, repeated, differing (repeated, but not alike), untallied."""
    account: str | None = None
    seen: dict[bytes, int] = field(default_factory=dict)
    bill: Bill = field(init=False)
    _read_now: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.bill = Bill(self.prices)

    def begin(self) -> None:
        """Begin to read the stream, for the first time or once more."""
        self.odd.clear()
        self._read_now.clear()

    def add(self, block: bytes) -> pa.RecordBatch:
        """Turn a block of whole lines into landed rows, one for each request that no line spoke of before."""
        ids, rows = [], []
        for line in decode(block):
            request_id = self._expected(line)
            if request_id is None or line is None:
                continue
            known = request_id in self.seen
            if known and request_id not in self._read_now:
                self._read_now.add(request_id)
                continue
            landed = judge(line.result, self.answer)
            content = hash((landed.status, landed.error, landed.text))
            if known:
                self.odd["repeated" if content == self.seen[request_id] else "differing"] += 1
                continue
            self.seen[request_id] = content
            self._read_now.add(request_id)
            self.kinds[line.result.type] += 1
            ids.append(request_id)
            rows.append(landed)
        return self.rows(ids, rows)

    def gap(self, counts: Mapping[str, int]) -> str | None:
        """Say what of the shard has not been read, and what the batch's own counts say; None: all of it has been.

        Where all has been read but the kinds differ from the counts, the lines stand, and are counted as untallied.
        """
        told = {kind: count for kind, count in counts.items() if count and kind != "processing"}
        read = {kind: count for kind, count in self.kinds.items() if count}
        if len(self.seen) == len(self.waiting):
            if untallied := (Counter(told) - Counter(read)).total():
                self.odd["untallied"] = untallied
            return None
        odd = ", ".join(f"{count} {name}" for name, count in sorted(self.odd.items())) or "none odd"
        return f"{len(self.seen)} of {len(self.waiting)} results were read; lines: {read}, told: {told}, {odd}"

    def missing(self, why: str) -> pa.RecordBatch:
        """Make a lost row of each request that no line spoke of."""
        ids = sorted(self.waiting - self.seen.keys())
        return self.rows(ids, [Landed(Status.MISSING, error=why) for _ in ids])

    def rows(self, ids: list[bytes], landed: list[Landed]) -> pa.RecordBatch:
        """Build Arrow rows, in which a value that does not fit its type is `invalid`."""
        values, unfit = self.answer.columns([one.value for one in landed])
        for position in unfit:
            landed[position].status, landed[position].error = Status.INVALID, "a value does not fit its column's type"
        for one in landed:
            self.statuses[one.status] += 1
            self.account = self.account or (one.error if one.account else None)
            if one.error and (one.error in self.errors or len(self.errors) < MOST_ERRORS):
                self.errors[one.error] += 1
        return pa.RecordBatch.from_arrays(list(self._arrays(ids, landed, values)), schema=landed_schema(self.answer))

    def _arrays(self, ids: list[bytes], landed: list[Landed], values: pa.Array) -> Iterable[pa.Array]:
        schema = landed_schema(self.answer)
        used = [None if one.usage is None else (one.model or self.asked_model, one.usage) for one in landed]
        counts = counted(used)
        cost, unknown = charged(self.prices, self.bill, used, counts)
        unused = np.array([one is None for one in used], dtype=bool)
        yield pa.array(ids, schema.field("id").type)
        yield (
            pa.array([one.status for one in landed], pa.string()).dictionary_encode().cast(schema.field("status").type)
        )
        yield pa.array([one.error for one in landed], pa.string())
        yield values
        for name in ("text", "model", "stop_reason"):
            yield pa.array([getattr(one, name) for one in landed], pa.string())
        yield pa.repeat(pa.scalar(self.batch, pa.string()), len(ids))
        for column in range(len(TOKENS)):
            yield pa.array(counts[:, column], pa.int64(), mask=unused)
        yield pa.array([one.usage and one.usage.service_tier for one in landed], pa.string())
        yield decimals(COST, cost, unknown)

    def _expected(self, line: Line | None) -> bytes | None:
        if line is None:
            self.odd["garbled"] += 1
            return None
        try:
            request_id = bytes.fromhex(line.custom_id)
        except ValueError:
            request_id = b""
        if request_id not in self.waiting:
            self.odd["unknown"] += 1
            return None
        return request_id
