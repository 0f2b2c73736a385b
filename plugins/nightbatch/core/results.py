"""Result lines become landed rows: one Arrow row for each request of a shard, in the order the lines come.

Lines are decoded in blocks; a line that cannot be read counts as garbled, so that the stream is fetched again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

from nightbatch.core.answer import AnswerType
from nightbatch.core.bill import Bill
from nightbatch.core.ids import ID_BYTES, BatchId
from nightbatch.core.outcome import BY_RESULT_TYPE, Status, of_error, of_stop
from nightbatch.core.price import Prices, Usage

COST = pa.decimal128(18, 12)


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    input: msgspec.Raw | None = None


class _CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None
    service_tier: str | None = None
    inference_geo: str | None = None


class _Message(msgspec.Struct):
    content: list[_Block] = []
    model: str | None = None
    stop_reason: str | None = None
    usage: _Usage | None = None


class _Error(msgspec.Struct):
    type: str = ""
    message: str = ""
    error: _Error | None = None


class _Result(msgspec.Struct):
    type: str
    message: _Message | None = None
    error: _Error | None = None


class Line(msgspec.Struct):
    """One line of a results stream."""

    custom_id: str
    result: _Result


class _Name(msgspec.Struct):
    type: str = ""


class _OddLine(msgspec.Struct):
    custom_id: str
    result: _Name


_lines = msgspec.json.Decoder(Line)
_odd_line = msgspec.json.Decoder(_OddLine)


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
    except msgspec.DecodeError:
        for raw in block.splitlines():
            if raw.strip():
                yield _decode_one(raw)


def _decode_one(raw: bytes) -> Line | None:
    try:
        return _lines.decode(raw)
    except msgspec.DecodeError:
        pass
    try:
        odd = _odd_line.decode(raw)
    except msgspec.DecodeError:
        return None
    return Line(custom_id=odd.custom_id, result=_Result(type=f"unreadable {odd.result.type}"))


def judge(result: _Result, answer: AnswerType) -> Landed:
    """Turn one result into what became of its request."""
    if result.type == "succeeded" and result.message is not None:
        return _judge_message(result.message, answer)
    if result.type == "errored":
        inner = (result.error and result.error.error) or result.error or _Error()
        status, account = of_error(inner.type, inner.message)
        return Landed(status, error=f"{inner.type or 'error'}: {inner.message}", account=account)
    status = BY_RESULT_TYPE.get(result.type, Status.ERRORED)
    return Landed(status, error=result.type if status is not Status.ERRORED else f"result type {result.type}")


def _judge_message(message: _Message, answer: AnswerType) -> Landed:
    status, error = of_stop(message.stop_reason)
    text = "".join(block.text for block in message.content if block.type == "text" and block.text)
    if not text and answer.schema is not None:
        text = next((bytes(b.input).decode() for b in message.content if b.type == "tool_use" and b.input), "")
    value = None
    if status is Status.ANSWERED:
        value, error = answer.read(text)
        status = Status.ANSWERED if error is None else Status.INVALID
    return Landed(status, error, text or None, value, message.model, message.stop_reason, _usage(message.usage))


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
    unknown: int = 0
    repeated: int = 0
    garbled: int = 0
    account: str | None = None
    seen: set[bytes] = field(default_factory=set)
    bill: Bill = field(init=False)

    def __post_init__(self) -> None:
        self.bill = Bill(self.prices)

    def add(self, block: bytes) -> pa.RecordBatch:
        """Turn a block of whole lines into landed rows."""
        ids, rows = [], []
        for line in decode(block):
            request_id = self._expected(line)
            if request_id is not None and line is not None:
                self.kinds[line.result.type] += 1
                ids.append(request_id)
                rows.append(judge(line.result, self.answer))
        return self.rows(ids, rows)

    def missing(self) -> pa.RecordBatch:
        """Make a lost row of each request that no line spoke of."""
        ids = sorted(self.waiting - self.seen)
        return self.rows(ids, [Landed(Status.MISSING, error="not in the results") for _ in ids])

    def rows(self, ids: list[bytes], landed: list[Landed]) -> pa.RecordBatch:
        """Build Arrow rows, in which a value that does not fit its type is `invalid`."""
        values, unfit = self.answer.columns([one.value for one in landed])
        for position in unfit:
            landed[position].status, landed[position].error = Status.INVALID, "a value does not fit its column's type"
        for one in landed:
            self.statuses[one.status] += 1
            self.account = self.account or (one.error if one.account else None)
        return pa.RecordBatch.from_arrays(list(self._arrays(ids, landed, values)), schema=landed_schema(self.answer))

    def _arrays(self, ids: list[bytes], landed: list[Landed], values: pa.Array) -> Iterable[pa.Array]:
        schema = landed_schema(self.answer)
        yield pa.array(ids, schema.field("id").type)
        yield (
            pa.array([one.status for one in landed], pa.string()).dictionary_encode().cast(schema.field("status").type)
        )
        yield pa.array([one.error for one in landed], pa.string())
        yield values
        for name in ("text", "model", "stop_reason"):
            yield pa.array([getattr(one, name) for one in landed], pa.string())
        yield pa.array([self.batch] * len(ids), pa.string())
        for name in TOKENS:
            yield pa.array([one.usage and getattr(one.usage, name) for one in landed], pa.int64())
        yield pa.array([one.usage and one.usage.service_tier for one in landed], pa.string())
        yield pa.array([self._cost(one) for one in landed], COST)

    def _cost(self, one: Landed) -> Decimal | None:
        """Price one result, and put it on the bill; null where the price is not known."""
        if one.usage is None:
            return Decimal(0)
        model = one.model or self.asked_model
        self.bill.add(model, one.usage)
        return self.prices.cost(model, one.usage)

    def _expected(self, line: Line | None) -> bytes | None:
        if line is None:
            self.garbled += 1
            return None
        try:
            request_id = bytes.fromhex(line.custom_id)
        except ValueError:
            request_id = b""
        if request_id not in self.waiting:
            self.unknown += 1
            return None
        if request_id in self.seen:
            self.repeated += 1
            return None
        self.seen.add(request_id)
        return request_id
