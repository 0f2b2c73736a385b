"""Text that is not valid UTF-8, and times finer than Python's: made readable, column by column."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from nightbatch.errors import SourceError


def repaired(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return the same rows with what is not valid UTF-8 in text columns replaced by U+FFFD."""
    return pa.RecordBatch.from_arrays(
        [_repaired(column) for column in rows.columns], names=rows.schema.names
    )


def _repaired(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    raw = column.cast(pa.large_binary()).to_pylist()
    return pa.array(
        [one if one is None else one.decode("utf-8", "replace") for one in raw],
        pa.large_string(),
    )


def values(column: pa.Array) -> list[Any]:
    """Return a column's values as Python's; nanoseconds are cut to microseconds, also inside lists and structs.

    A date or time beyond the years 1 to 9999 becomes text as Arrow prints it. Raises SourceError for one that lies
    inside a list or struct.
    """
    coarse = _coarse(column.type)
    column = column if coarse == column.type else column.cast(coarse, safe=False)
    try:
        found: list[Any] = column.to_pylist()
    except OverflowError:
        return [_value(column, place) for place in range(len(column))]
    return found


def _value(column: pa.Array, place: int) -> Any:
    try:
        return column[place].as_py()
    except OverflowError:
        if not pa.types.is_temporal(column.type):
            raise SourceError(
                f"a value of {column.type} holds a date or time beyond the years 1 to 9999."
            ) from None
    return column.slice(place, 1).cast(pa.string())[0].as_py()


def raw(column: pa.Array) -> pa.Array:
    """Return a key column in a form that Python can always hold: text as bytes, dates and times as whole numbers."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return raw(column.cast(kind.value_type))
    if pa.types.is_string(kind):
        return column.cast(pa.binary())
    if pa.types.is_large_string(kind):
        return column.cast(pa.large_binary())
    if pa.types.is_temporal(kind) and kind.bit_width in {32, 64}:
        return column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    return column


def _coarse(kind: pa.DataType) -> pa.DataType:
    """Return a type with microseconds in place of nanoseconds."""
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_coarse(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_coarse(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_coarse(kind.value_type)))
    if pa.types.is_map(kind):
        return pa.map_(_coarse(kind.key_type), _coarse(kind.item_type))
    return kind
