"""Makes text that is not valid UTF-8, and times finer than Python's, readable: column by column."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from nightbatch.errors import SourceError

_BYTES = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
"""What holds the bytes of a text, by its type."""
_NUMBERS = {32: pa.int32(), 64: pa.int64()}
"""Whole numbers, by how many bits they have."""


def repaired(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return the same rows with what is not valid UTF-8 in text columns replaced by U+FFFD."""
    repaired_columns = [_repaired(column) for column in rows.columns]
    return pa.RecordBatch.from_arrays(repaired_columns, names=rows.schema.names)


def _repaired(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    if kind not in _BYTES:
        return column
    text_bytes = column.cast(pa.large_binary())
    raw_values = text_bytes.to_pylist()
    texts = [
        None if raw_value is None else raw_value.decode("utf-8", "replace")
        for raw_value in raw_values
    ]
    return pa.array(texts, pa.large_string())


def values(column: pa.Array) -> list[Any]:
    """Return a column's values as Python's; nanoseconds are cut to microseconds, also inside lists and structs.

    A date or time beyond the years 1 to 9999 becomes text as Arrow prints it. Raises SourceError for one that lies
    inside a list or struct; `unreadable` finds those rows.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    coarse_type = _coarse(column.type)
    if coarse_type != column.type:
        column = column.cast(coarse_type, safe=False)
    try:
        python_values: list[Any] = column.to_pylist()
    except OverflowError:
        return [_value(column, place) for place in range(len(column))]
    return python_values


def _value(column: pa.Array, place: int) -> Any:
    try:
        return column[place].as_py()
    except OverflowError:
        if not pa.types.is_temporal(column.type):
            raise SourceError(
                f"a value of {column.type} holds a date or time beyond the years 1 to 9999."
            ) from None
    printed_value = column.slice(place, 1).cast(pa.string())
    return printed_value[0].as_py()


def raw(column: pa.Array) -> pa.Array:
    """Return a key column in a form that Python can always hold: text as bytes, dates and times as whole numbers."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        decoded = column.cast(kind.value_type)
        return raw(decoded)
    raw_type = _raw_type(kind)
    if raw_type == kind:
        return column
    return column.cast(raw_type)


def _raw_type(kind: pa.DataType) -> pa.DataType:
    if kind in _BYTES:
        return _BYTES[kind]
    if pa.types.is_temporal(kind):
        return _NUMBERS.get(kind.bit_width, kind)
    return kind


def _coarse(kind: pa.DataType) -> pa.DataType:
    """Return a type with microseconds in place of nanoseconds."""
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    return _coarse_nested(kind)


def _coarse_nested(kind: pa.DataType) -> pa.DataType:
    """Return a nested type with microseconds in place of nanoseconds; any other type as it is."""
    if pa.types.is_struct(kind):
        return pa.struct([_coarse_field(field) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(_coarse_field(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_coarse_field(kind.value_field))
    if pa.types.is_map(kind):
        key_type = _coarse(kind.key_type)
        return pa.map_(key_type, _coarse(kind.item_type))
    return kind


def _coarse_field(field: pa.Field) -> pa.Field:
    return field.with_type(_coarse(field.type))
