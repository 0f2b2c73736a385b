"""What a landed shard holds: a row for each of its requests, with the model's own words wherever it said some."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from nightbatch.ids import ID_BYTES
from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.outcome import Status
from nightbatch.messages.usage import TOKENS

COST = pa.decimal128(18, 12)
UNPUBLISHED = ("id", "text", "service_tier")
REPEATING = ("model", "stop_reason", "batch_id")
"""Columns of few different words."""
_STATUSES = {status: number for number, status in enumerate(Status)}
_NAMES = pa.array([str(status) for status in Status], pa.string())


def landed_schema(answer: AnswerType) -> pa.Schema:
    """Return the schema of a landed shard."""
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


def published_schema(answer: AnswerType) -> pa.Schema:
    """Return the schema of what is published of a landed shard, as it is read: repeating words as dictionaries."""
    words = pa.dictionary(pa.int32(), pa.string())
    fields = [field for field in landed_schema(answer) if field.name not in UNPUBLISHED]
    return pa.schema(
        [
            field.with_type(words) if field.name in REPEATING else field
            for field in fields
        ]
    )


def statuses(of: list[Status]) -> pa.DictionaryArray:
    """Make a column of statuses; all have the same dictionary."""
    return _column(np.array([_STATUSES[status] for status in of], dtype=np.int8))


def all_of(status: Status, count: int) -> pa.DictionaryArray:
    """Make a column of one status."""
    return _column(np.full(count, _STATUSES[status], dtype=np.int8))


def _column(numbers: np.ndarray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(numbers, pa.int8()), _NAMES)
