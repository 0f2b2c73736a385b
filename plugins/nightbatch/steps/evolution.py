"""The columns of the partition published before this one, read from its `_SUCCESS`."""

from __future__ import annotations

import msgspec

from nightbatch.core import keys
from nightbatch.core.errors import Absent
from nightbatch.core.evolution import Columns
from nightbatch.core.ports import Store


def columns_before(target: Store, folder: str) -> Columns | None:
    """Read the columns of the last partition whose name comes before this one's, else of this one as it stands.

    None where neither is published.
    """
    mine = folder + keys.SUCCESS
    markers = (entry.key for entry in target.list("") if entry.key.rpartition("/")[2] == keys.SUCCESS)
    earlier = max((key for key in markers if key < mine), default=mine)
    try:
        told = msgspec.json.decode(target.get(earlier))
    except Absent:
        return None
    found = told.get("columns")
    return found if isinstance(found, dict) else None
