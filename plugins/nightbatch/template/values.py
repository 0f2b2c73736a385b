"""What a template sees of a row's values: text, numbers, and values of which it may use what is named here.

Jinja calls any method of a Python value. Some show other values in their errors (`pop`), some change what later
rows see (`append`), some return something else each time (`now`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from operator import attrgetter
from typing import Any

_LOCAL = re.compile(r"%[^A-Za-z%]*s")
"""The directive of strftime that depends on the machine's time zone."""


class Refused:
    """A method that a template may not call. A field of that name can be used all the same."""

    def __get__(self, holder: object, _: type) -> Any:
        raise AttributeError


class Moment:
    """A date, a time or a duration: its value is `printable(…)`, compared as that."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __str__(self) -> str:
        """Print it: ISO 8601, but for a duration, which is printed as Python prints it."""
        value = self._value
        return str(value) if isinstance(value, timedelta) else value.isoformat()

    def __repr__(self) -> str:
        return str(self)

    def __hash__(self) -> int:
        return hash(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Moment) and bool(self._value == other._value)

    def __lt__(self, other: Moment) -> bool:
        return bool(self._value < other._value)

    def __le__(self, other: Moment) -> bool:
        return bool(self._value <= other._value)

    def __gt__(self, other: Moment) -> bool:
        return bool(self._value > other._value)

    def __ge__(self, other: Moment) -> bool:
        return bool(self._value >= other._value)


class Day(Moment):
    """A date."""

    __slots__ = ()

    def isoformat(self, *args: Any, **named: Any) -> str:
        return str(self._value.isoformat(*args, **named))


class NoClock(Moment):
    """A time of day."""

    __slots__ = ()

    def isoformat(self, *args: Any, **named: Any) -> str:
        return str(self._value.isoformat(*args, **named))


class DayAndTime(Day, NoClock):
    """A date with a time."""

    __slots__ = ()

    def timestamp(self) -> float:
        """Return the seconds of a time with a time zone; without one they would depend on the machine's."""
        value: datetime = self._value
        if value.tzinfo is None:
            raise AttributeError
        return value.timestamp()


class Duration(Moment):
    """A duration."""

    __slots__ = ()


class Fields(dict[str, Any]):
    """A struct."""

    __slots__ = ()

    def get(self, name: str, default: Any = None) -> Any:
        return dict.get(self, name, default)

    def items(self) -> Any:
        return dict.items(self)

    def keys(self) -> Any:
        return dict.keys(self)

    def values(self) -> Any:
        return dict.values(self)


class Items(list[Any]):
    """A list."""

    __slots__ = ()

    def count(self, value: Any) -> int:
        return list.count(self, value)

    def index(self, value: Any, *bounds: Any) -> int:
        return list.index(self, value, *bounds)


def seen(value: Any) -> Any:
    """Return a value as a template sees it."""
    convert = _SEEN.get(type(value), str)
    return value if convert is None else convert(value)


def printable(value: Any) -> Any:
    """Return what is printed of a date, time or duration, or of a value that JSON does not know."""
    return value._value if isinstance(value, Moment) else str(value)  # noqa: SLF001


def _items(values: Iterable[Any]) -> Items:
    return Items(map(seen, values))


def _fields(value: dict[str, Any]) -> Fields:
    seen_values = map(seen, value.values())
    return Fields(zip(value, seen_values, strict=True))


def _pair(value: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(map(seen, value))


def _method(name: str) -> Callable[..., Any]:
    """Return the method of a moment that calls its value's."""

    def call(moment: Moment, *args: Any, **named: Any) -> Any:
        method = getattr(printable(moment), name)
        return seen(method(*args, **named))

    call.__qualname__ = name  # a template that prints the method shows this
    return call


def _strftime(moment: Moment, form: str) -> str:
    """Format a date or time; the result is the same on every machine."""
    if _LOCAL.search(form):
        raise ValueError
    return str(printable(moment).strftime(form))


def _allow(kind: type[Moment], attributes: str, methods: str) -> None:
    """Let templates use attributes and methods of a moment's value."""
    for name in attributes.split():
        value_attribute = attrgetter(f"_value.{name}")
        setattr(kind, name, property(value_attribute))
    for name in methods.split():
        method = _strftime if name == "strftime" else _method(name)
        setattr(kind, name, method)


_allow(
    Day,
    "year month day",
    "ctime isocalendar isoweekday replace strftime toordinal weekday",
)
_allow(
    NoClock,
    "hour minute second microsecond fold",
    "dst replace strftime tzname utcoffset",
)
_allow(DayAndTime, "", "date time timetz")
_allow(Duration, "days seconds microseconds", "total_seconds")
for _kind, _base in ((Fields, dict), (Items, list)):
    for _name in dir(_base):
        if not _name.startswith("__") and _name not in vars(_kind):
            setattr(_kind, _name, Refused())

_UNCHANGED = (
    type(None),
    str,
    bool,
    int,
    float,
    bytes,
    type(date.min.isocalendar()),
    Day,
    DayAndTime,
    NoClock,
    Duration,
    Fields,
    Items,
)
_SEEN: dict[type, Callable[[Any], Any] | None] = {
    **dict.fromkeys(_UNCHANGED),
    date: Day,
    datetime: DayAndTime,
    time: NoClock,
    timedelta: Duration,
    list: _items,
    tuple: _pair,
    dict: _fields,
}
