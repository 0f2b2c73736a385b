"""The columns of the partition published before this one, read from its `_SUCCESS`."""

from __future__ import annotations

from itertools import islice

from nightbatch.ledger import marker
from nightbatch.ledger.marker import Profile
from nightbatch.ports import Reads, Store
from nightbatch.publish.schema_changes import Columns
from nightbatch.spec import locations


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


def profiles(target: Reads, partition: str, nights: int) -> list[Profile]:
    """Read the profiles of the last partitions beside this one and before it, the newest last."""
    own = locations.folder(partition)
    above = own.rstrip("/").rpartition("/")[0]
    markers = islice(
        marker.before(target, own, within=f"{above}/" if above else ""), nights
    )
    return [earlier.profile for earlier in markers if earlier.profile][::-1]
