"""How the columns of a target change from night to night: named, so that nobody finds it out from a failing query."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

Columns = Mapping[str, str]
"""Name and Arrow type of each published column, as `_SUCCESS` tells them."""


def columns(schema: pa.Schema) -> dict[str, str]:
    """Tell the columns of a schema, in their order."""
    return {field.name: str(field.type) for field in schema}


def changes(before: Columns, after: Columns) -> list[str]:
    """Name the columns that are new, gone, or of another type."""
    told = [
        f"{name} is new ({kind})" for name, kind in after.items() if name not in before
    ]
    told += [
        f"{name} is gone (was {kind})"
        for name, kind in before.items()
        if name not in after
    ]
    told += [
        f"{name} is {kind}, was {before[name]}"
        for name, kind in after.items()
        if name in before and before[name] != kind
    ]
    return told
