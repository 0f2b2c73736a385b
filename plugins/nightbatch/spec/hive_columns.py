"""The columns that a partition's path holds, as Hive writes them."""

from __future__ import annotations

from datetime import date
from urllib.parse import unquote

import pyarrow as pa

_DATE_LENGTH = len("2026-11-21")


def values_of(partition: str) -> dict[str, pa.Scalar]:
    """Read the columns that a Hive path holds: `dt=2026-11-21` is a date, any other value a text, percent-decoded."""
    values = dict[str, pa.Scalar]()
    folders = partition.strip("/").split("/")
    for folder in folders:
        encoded_name, equals_sign, encoded_value = folder.partition("=")
        if equals_sign:
            name = unquote(encoded_name)
            value = unquote(encoded_value)
            values[name] = _typed(value)
    return values


def _typed(value: str) -> pa.Scalar:
    if value == "__HIVE_DEFAULT_PARTITION__":
        return pa.scalar(None)
    if len(value) != _DATE_LENGTH:
        return pa.scalar(value)
    try:
        return pa.scalar(date.fromisoformat(value))
    except ValueError:
        return pa.scalar(value)
