"""The schema of a landed shard: one row per request, with the model's text where there is one."""

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
"""Columns with few different values."""
_STATUS_CODES = {status: number for number, status in enumerate(Status)}
_STATUS_NAMES = pa.array([str(status) for status in Status], pa.string())


def landed_schema(answer: AnswerType) -> pa.Schema:
    """Return the schema of a landed shard."""
    text = pa.string()
    status_type = pa.dictionary(pa.int8(), text)
    token_fields = [pa.field(name, pa.int64()) for name in TOKENS]
    return pa.schema(
        [
            pa.field("id", pa.binary(ID_BYTES), nullable=False),
            pa.field("status", status_type, nullable=False),
            pa.field("error", text),
            pa.field("answer", answer.arrow),
            pa.field("text", text),
            pa.field("model", text),
            pa.field("stop_reason", text),
            pa.field("batch_id", text),
            *token_fields,
            pa.field("service_tier", text),
            pa.field("cost_usd", COST),
        ]
    )


def published_schema(answer: AnswerType) -> pa.Schema:
    """Return the columns of a landed shard that are published, as they are read: repeating values as dictionaries."""
    dictionary_type = pa.dictionary(pa.int32(), pa.string())
    published_fields: list[pa.Field] = []
    for field in landed_schema(answer):
        if field.name in REPEATING:
            published_fields.append(field.with_type(dictionary_type))
        elif field.name not in UNPUBLISHED:
            published_fields.append(field)
    return pa.schema(published_fields)


def statuses(row_statuses: list[Status]) -> pa.DictionaryArray:
    """Make a column of statuses; all such columns have the same dictionary."""
    status_codes = [_STATUS_CODES[status] for status in row_statuses]
    return _status_column(np.array(status_codes, dtype=np.int8))


def all_of(status: Status, count: int) -> pa.DictionaryArray:
    """Make a column with the same status in every row."""
    status_code = _STATUS_CODES[status]
    return _status_column(np.full(count, status_code, dtype=np.int8))


def _status_column(status_codes: np.ndarray) -> pa.DictionaryArray:
    indices = pa.array(status_codes, pa.int8())
    return pa.DictionaryArray.from_arrays(indices, _STATUS_NAMES)
