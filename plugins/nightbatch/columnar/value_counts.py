"""How often each value of a column occurs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

ValueCount = tuple[Any, int]


def value_counts(column: pa.Array, most: int | None = None) -> Iterator[ValueCount]:
    """Count the different values of a column but null, in their order there; no more than `most` values."""
    all_counts = pc.value_counts(column.drop_null())
    for entry in all_counts[:most].to_pylist():
        yield entry["values"], entry["counts"]
