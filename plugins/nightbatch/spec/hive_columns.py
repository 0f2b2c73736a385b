"""The columns that a partition's path holds, as Hive writes them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from urllib.parse import unquote

import pyarrow as pa

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
"""What a path holds in the place of a null."""
_DATE_LENGTH = len("2026-11-21")


def values_of(partition: str) -> dict[str, pa.Scalar]:
    """Read the columns that a Hive path holds: `dt=2026-11-21` is a date, any other value a text, percent-decoded."""
    columns = encoded_values(partition)
    return {name: _typed(unquote(value)) for name, value in columns}


def encoded_values(path: str) -> Iterator[tuple[str, str]]:
    """Yield the columns that a Hive path holds: the name of each, and its value as it is encoded in the path."""
    for folder in path.split("/"):
        encoded_name, equals_sign, value = folder.partition("=")
        if equals_sign:
            yield unquote(encoded_name), value


def _typed(value: str) -> pa.Scalar:
    if value == HIVE_NULL:
        return pa.scalar(None)
    if len(value) != _DATE_LENGTH:
        return pa.scalar(value)
    try:
        return pa.scalar(date.fromisoformat(value))
    except ValueError:
        return pa.scalar(value)
