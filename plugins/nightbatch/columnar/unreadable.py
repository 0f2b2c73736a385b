"""Finds the rows with a date, time or duration inside a list, struct or map that Python cannot hold.

On the top level of a column Arrow prints such a value; inside a nested one nothing does. Only bounds are looked at,
without a Python object, unless something lies beyond them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.utf8 import values
from nightbatch.errors import SourceError

_EPOCH = datetime(1970, 1, 1)
_DAY = timedelta(days=1)
_MARGIN = _DAY
"""A time zone moves a time by less."""
_FIRST = datetime.min - _EPOCH + _MARGIN
_LAST = datetime.max - _EPOCH - _MARGIN
_UNITS = {
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
    "us": timedelta(microseconds=1),
}


def unreadable_rows(rows: pa.RecordBatch, names: Iterable[str]) -> dict[int, str]:
    """Return the places of rows that cannot be read, each with the first of these columns that is to blame."""
    blamed = dict[int, str]()
    for name in names:
        column = rows.column(name)
        if pa.types.is_nested(column.type) and _may_overflow(column):
            for place in range(len(column)):
                if place not in blamed and not _is_readable(column.slice(place, 1)):
                    blamed[place] = name
    return blamed


def _is_readable(cell: pa.Array) -> bool:
    try:
        values(cell)
    except SourceError:
        return False
    return True


def _may_overflow(column: pa.Array) -> bool:
    """Tell whether a value, at any depth and even below a null, lies near or beyond what Python can hold."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _may_overflow(column.dictionary)
    if pa.types.is_struct(kind):
        return any(_may_overflow(field) for field in column.flatten())
    if pa.types.is_map(kind):
        return _may_overflow(column.keys) or _may_overflow(column.items)
    if _is_list(kind):
        return _may_overflow(column.flatten())
    if pa.types.is_nested(kind):
        return True
    bounds = _bounds(kind)
    if bounds is None:
        return False
    number_type = pa.int32() if kind.bit_width == 32 else pa.int64()
    extremes = pc.min_max(column.cast(number_type)).as_py()
    if extremes["min"] is None:
        return False
    low, high = bounds
    return bool(extremes["min"] < low or extremes["max"] > high)


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def _bounds(kind: pa.DataType) -> tuple[int, int] | None:
    """Return the least and the greatest number that Python surely holds; None for types of which it holds all."""
    if pa.types.is_date32(kind):
        first_day = (date.min - _EPOCH.date()) // _DAY
        return first_day, (date.max - _EPOCH.date()) // _DAY
    if pa.types.is_date64(kind):
        return _FIRST // _UNITS["ms"], _LAST // _UNITS["ms"]
    if pa.types.is_timestamp(kind) and kind.unit in _UNITS:
        unit = _UNITS[kind.unit]
        return _FIRST // unit, _LAST // unit
    if pa.types.is_duration(kind) and kind.unit in _UNITS:
        unit = _UNITS[kind.unit]
        return timedelta.min // unit, timedelta.max // unit
    return None
