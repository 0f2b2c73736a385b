"""Reads the times that a model writes: with or without a zone, seconds or fractions. The values are typed columns.

A schema's `date-time` and `time` are those of RFC 3339, which demand a zone and seconds. Models leave them out where
the text that they read has none, so these are taken too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time

_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?"
_ZONE = r"(?:[Zz]|[+-]\d{2}:?\d{2})?"
_TIME = re.compile(_CLOCK + _ZONE, re.ASCII)
_DATE_TIME = re.compile(rf"\d{{4}}-\d{{2}}-\d{{2}}(?:[Tt ]{_CLOCK}{_ZONE})?", re.ASCII)
"""Python reads much more than these, such as weeks and times without colons."""


def read_time(text: str) -> time:
    """Return a time of day as it is written, cut to microseconds; a zone is left out.

    `10:11`, `10:11:12.5`, `10:11:12Z`, `10:11:12+02:00`. Raises ValueError.
    """
    if _TIME.fullmatch(text) is None:
        raise ValueError
    return time.fromisoformat(text.upper()).replace(tzinfo=None)


def read_date_time(text: str) -> datetime:
    """Return a date with a time in UTC, cut to microseconds. Without a zone it is UTC; without a time, midnight.

    `2026-11-29T10:11:12Z`, `2026-11-29 10:11:12+02:00`, `2026-11-29T10:11`, `2026-11-29`. Raises ValueError, and
    OverflowError for what lies beyond the years 1 to 9999 in UTC.
    """
    if _DATE_TIME.fullmatch(text) is None:
        raise ValueError
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


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
