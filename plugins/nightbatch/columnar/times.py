"""Reads the times that a model writes: with or without a zone, seconds or fractions. The values are typed columns.

A schema's `date-time` and `time` are those of RFC 3339, which demand a zone and seconds. Models leave them out where
the text that they read has none, so these are taken too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

_CLOCK = r"(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?"
_ZONE = r"(?: ?(Z|z|[+-]\d{2}:?\d{2}))?"
_TIME = re.compile(_CLOCK + _ZONE, re.ASCII)
_DATE_TIME = re.compile(
    rf"(\d{{4}}-\d{{2}}-\d{{2}})(?:[Tt ]({_CLOCK}{_ZONE}))?", re.ASCII
)


def read_time(text: str) -> time:
    """Return a time of day as it is written, cut to microseconds; a zone is left out.

    `10:11`, `10:11:12.5`, `10:11:12Z`, `10:11:12+02:00`. Raises ValueError.
    """
    clock_time, _ = _clock_and_zone(text)
    return clock_time


def read_date_time(text: str) -> datetime:
    """Return a date with a time in UTC, cut to microseconds. Without a zone it is UTC; without a time, midnight.

    `2026-11-29T10:11:12Z`, `2026-11-29 10:11:12+02:00`, `2026-11-29T10:11`, `2026-11-29`. Raises ValueError, and
    OverflowError for what lies beyond the years 1 to 9999 in UTC.
    """
    parts = _DATE_TIME.fullmatch(text)
    if parts is None:
        raise ValueError
    clock_time, offset = _clock_and_zone(parts[2] or "00:00")
    day = datetime.fromisoformat(parts[1]).replace(tzinfo=UTC)
    written_time = day.replace(
        hour=clock_time.hour,
        minute=clock_time.minute,
        second=clock_time.second,
        microsecond=clock_time.microsecond,
    )
    return written_time - offset


def is_time(text: str) -> bool:
    """Tell whether `read_time` reads a text."""
    try:
        read_time(text)
    except ValueError:
        return False
    return True


def is_date_time(text: str) -> bool:
    """Tell whether `read_date_time` reads a text."""
    try:
        read_date_time(text)
    except (ValueError, OverflowError):
        return False
    return True


def _clock_and_zone(text: str) -> tuple[time, timedelta]:
    """Return a time of day and its distance from UTC."""
    parts = _TIME.fullmatch(text)
    if parts is None:
        raise ValueError
    hour, minute, second, fraction, zone = parts.groups()
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    clock_time = time(int(hour), int(minute), int(second or 0), microsecond)
    return clock_time, _offset(zone)


def _offset(zone: str | None) -> timedelta:
    """Return the distance of a zone from UTC, such as two hours for `+02:00`."""
    if zone is None or zone in "Zz":
        return timedelta()
    hours = int(zone[1:3])
    minutes = int(zone[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if zone[0] == "-" else offset
