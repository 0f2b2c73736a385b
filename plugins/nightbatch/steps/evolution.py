"""The columns of the partition published before this one, read from its `_SUCCESS`."""

from __future__ import annotations

from nightbatch.core.evolution import Columns
from nightbatch.core.ports import Store
from nightbatch.steps import marker


def columns_before(target: Store, folder: str) -> Columns | None:
    """Read the columns of the last partition whose name comes before this one's, else of this one as it stands.

    None where neither is published.
    """
    earlier = next(marker.before(target, folder), None) or marker.read(target, folder)
    return earlier.columns or None if earlier else None


def rows_before(target: Store, folder: str) -> int:
    """Count the rows of the partition as it stands, else of the one before it; 0 where neither is published."""
    earlier = marker.read(target, folder) or next(marker.before(target, folder), None)
    return earlier.rows if earlier else 0
