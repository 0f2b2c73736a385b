"""Describe how the columns of a target change between partitions, so that nobody learns it from a failing query."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

Columns = Mapping[str, str]
"""Name and Arrow type of each published column, as `_SUCCESS` holds them."""


def columns(schema: pa.Schema) -> dict[str, str]:
    """Return the columns of a schema, in their order."""
    return {field.name: str(field.type) for field in schema}


def changes(before: Columns, after: Columns) -> list[str]:
    """Describe the columns that are new, gone, or of another type, in this order."""
    new_columns: list[str] = []
    changed_columns: list[str] = []
    for name, kind in after.items():
        if name not in before:
            new_columns.append(f"{name} is new ({kind})")
        elif before[name] != kind:
            changed_columns.append(f"{name} is {kind}, was {before[name]}")
    gone_columns = [
        f"{name} is gone (was {kind})"
        for name, kind in before.items()
        if name not in after
    ]
    return [*new_columns, *gone_columns, *changed_columns]
