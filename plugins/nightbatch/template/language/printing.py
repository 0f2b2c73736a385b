"""How a value becomes text: nothing for null, `true` and `false`, ISO dates, compact JSON for lists and structs.

The same everywhere: where a value is printed, joined with `~`, formatted, or given to a filter that works on text.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, KeysView, ValuesView
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from jinja2 import Undefined

from nightbatch.template.values import Fields, Items, Moment, printable

BINARY = "a binary value is used outside image(…) and document(…)"
NO_VALUE = "what is printed is no value: a method, a macro or a function"
_LARGEST_WHOLE_FLOAT = 2.0**63
_SEQUENCES = (list, tuple, range, KeysView, ItemsView, ValuesView)
_SIMPLE = (int, Decimal, bytes, date, time, timedelta, type(None))


def display(value: Any) -> str:
    """Return a value as a prompt shows it. Raises TypeError for what is no value, such as a function."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    return _PRINTED.get(kind, _display)(value)


def _display(value: Any) -> str:
    if isinstance(value, str | int | Moment | Undefined):
        return str(value)  # of what is not defined, this raises
    if isinstance(value, bytes):
        raise TypeError(BINARY)
    if isinstance(value, (dict, *_SEQUENCES)):
        return _nested(value)
    raise TypeError(NO_VALUE)


def data(value: Any) -> Any:
    """Return a value without types of ours, and with whole numbers as integers, also inside lists and structs.

    Raises TypeError for what is no value.
    """
    if isinstance(value, float):
        return whole(value)
    if isinstance(value, _SIMPLE):
        return value
    if isinstance(value, str | Undefined):
        return str(value)
    if isinstance(value, Moment):
        return printable(value)
    if isinstance(value, dict):
        return {key: data(item) for key, item in value.items()}
    if isinstance(value, _SEQUENCES):
        return [data(item) for item in value]
    raise TypeError(NO_VALUE)


def whole(value: float) -> float:
    """Return a float that is whole as an integer, any other as it is."""
    is_whole = value.is_integer() and abs(value) <= _LARGEST_WHOLE_FLOAT
    return int(value) if is_whole else value


def json_default(value: Any) -> Any:
    """Return what JSON holds of a value that it does not know; for `json.dumps`."""
    return display(value)


def _json(value: Any) -> str:
    return _encoder.encode(value).decode()


def _float(value: float) -> str:
    return repr(whole(value))


def _nested(value: Any) -> str:
    return _json(data(value))


_encoder = msgspec.json.Encoder(enc_hook=printable)
_PRINTED: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "",
    bool: lambda value: "true" if value else "false",
    int: str,
    float: _float,
    Decimal: str,
    date: date.isoformat,
    datetime: datetime.isoformat,
    time: time.isoformat,
    timedelta: str,
    Fields: _json,
    Items: _json,
    dict: _nested,
    list: _nested,
}
