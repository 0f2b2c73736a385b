"""The columns of the partition published before this one, read from its `_SUCCESS`."""

from __future__ import annotations

from itertools import islice

from nightbatch.ledger import marker
from nightbatch.ledger.marker import Marker, Profile
from nightbatch.ports import Reads, Store
from nightbatch.publish.schema_changes import Columns
from nightbatch.spec import locations


def columns_before(target: Store, folder: str) -> Columns | None:
    """Read the columns of the last partition whose name comes before this one's, else of this one as published.

    None if neither is published.
    """
    compared = _last_before(target, folder) or marker.read(target, folder)
    if compared is None:
        return None
    return compared.columns or None


def rows_before(target: Store, folder: str) -> int:
    """Count the rows of the partition as published, else of the one before it; 0 if neither is published."""
    compared = marker.read(target, folder) or _last_before(target, folder)
    return compared.rows if compared else 0


def _last_before(target: Store, folder: str) -> Marker | None:
    return next(marker.before(target, folder), None)


def profiles(target: Reads, partition: str, nights: int) -> list[Profile]:
    """Read the profiles of the last partitions before this one in the same parent folder, the newest last."""
    own_folder = locations.folder(partition)
    parent_folder = own_folder.rstrip("/").rpartition("/")[0]
    within = f"{parent_folder}/" if parent_folder else ""
    all_markers = marker.before(target, own_folder, within=within)
    last_markers = islice(all_markers, nights)
    newest_first = [earlier.profile for earlier in last_markers if earlier.profile]
    return newest_first[::-1]
