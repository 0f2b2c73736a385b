"""`_SUCCESS`: the marker of a published partition, read in one place.

Other programs write a file of that name too (Spark and Hadoop an empty one). Such a partition counts as not published
by nightbatch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from nightbatch.errors import Absent, TargetError
from nightbatch.ledger import keys
from nightbatch.ports import Entry, Reads, Store
from nightbatch.spec import locations
from nightbatch.spec.locations import is_data_file

Profile = dict[str, dict[str, int]]
"""For each column, how many rows have each value."""


@dataclass(frozen=True)
class Marker:
    """The fields of a marker that are read. `files`: keys below the target, all in the partition's own folder."""

    files: Annotated[list[str], msgspec.Meta(min_length=1)]
    rows: Annotated[int, msgspec.Meta(ge=0)]
    snapshot: str = ""
    schema_hash: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    profile: Profile = field(default_factory=dict)


_decoder = msgspec.json.Decoder(Marker)


def decode(body: bytes, folder: str) -> Marker | None:
    """Decode the marker of a folder; None for one that nightbatch has not written."""
    try:
        marker = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for key in marker.files:
        if not _is_part_of(key, folder):
            return None
    return marker


def _is_part_of(key: str, folder: str) -> bool:
    file_name = key.removeprefix(folder)
    return key.startswith(folder) and keys.is_part(file_name)


def read(target: Reads, folder: str) -> Marker | None:
    """Read a folder's marker; None where nightbatch has published nothing there."""
    try:
        return decode(target.get(folder + locations.SUCCESS), folder)
    except Absent:
        return None


def before(target: Reads, folder: str, *, within: str = "") -> Iterator[Marker]:
    """Read the markers of the partitions whose names come before this one's, the last one first.

    `within`: the folder whose partitions are searched; default: the whole target. Empty markers are Spark's.
    """
    own_key = folder + locations.SUCCESS
    listed = target.list(within)
    marker_keys = [entry.key for entry in listed if _is_marker(entry)]
    earlier_keys = [key for key in marker_keys if key < own_key]
    earlier_keys.sort(reverse=True)
    for earlier_key in earlier_keys:
        earlier_folder = earlier_key.removesuffix(locations.SUCCESS)
        marker = read(target, earlier_folder)
        if marker is not None:
            yield marker


def _is_marker(entry: Entry) -> bool:
    file_name = entry.key.rpartition("/")[2]
    return file_name == locations.SUCCESS and entry.size > 0


def refuse_foreign(target: Store, folder: str) -> None:
    """Raise TargetError where a folder holds data, or a marker, that nightbatch has not written."""
    for entry in target.children(folder):
        name = entry.key.removeprefix(folder)
        if name == locations.SUCCESS:
            if decode(target.get(entry.key), folder) is None:
                raise TargetError(
                    f"target: {target.url}{entry.key} was not written by nightbatch. "
                    "Choose another target, or remove that file if the folder is meant for nightbatch."
                )
        elif is_data_file(name) and not keys.is_part(name):
            raise TargetError(
                f"target: {target.url}{entry.key} is a data file that nightbatch has not written, and readers of the "
                "partition would mix it with what is published. Choose another target, or move that file."
            )
