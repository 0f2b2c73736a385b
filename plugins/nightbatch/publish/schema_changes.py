"""Describe how the columns of a target change between partitions, so that a change is reported before a query fails."""

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
    gone_columns: list[str] = []
    changed_columns: list[str] = []
    for name, kind in after.items():
        old_kind = before.get(name)
        if old_kind is None:
            new_columns.append(f"{name} is new ({kind})")
        elif old_kind != kind:
            changed_columns.append(f"{name} is {kind}, was {old_kind}")
    for name, old_kind in before.items():
        if name not in after:
            gone_columns.append(f"{name} is gone (was {old_kind})")
    return [*new_columns, *gone_columns, *changed_columns]
