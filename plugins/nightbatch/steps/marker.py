"""`_SUCCESS`: what a published partition says of itself, read in one place.

Other programs write a file of that name too (Spark and Hadoop an empty one): that is not ours, so the partition counts
as not published by us.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from nightbatch.core import keys
from nightbatch.core.errors import Absent, TargetError
from nightbatch.core.locations import is_data_file
from nightbatch.core.ports import Reads, Store

Marker = dict[str, Any]
OURS = {"files", "rows"}
"""Fields of every marker that nightbatch writes."""


def decode(body: bytes) -> Marker | None:
    """Decode a marker; None for one that nightbatch has not written."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(content, dict) or not content.keys() >= OURS or not isinstance(content["files"], list):
        return None
    return content


def read(target: Reads, folder: str) -> Marker | None:
    """Read a folder's marker; None where nightbatch has published nothing there."""
    try:
        return decode(target.get(folder + keys.SUCCESS))
    except Absent:
        return None


def before(target: Reads, folder: str) -> Iterator[Marker]:
    """Read the markers of the partitions whose names come before this one's, the last one first."""
    own = folder + keys.SUCCESS
    names = (entry.key for entry in target.list(_above(folder)))
    folders = [name.removesuffix(keys.SUCCESS) for name in names if name.rpartition("/")[2] == keys.SUCCESS]
    for earlier in sorted((name for name in folders if name + keys.SUCCESS < own), reverse=True):
        marker = read(target, earlier)
        if marker is not None:
            yield marker


def refuse_foreign(target: Store, folder: str) -> None:
    """Raise TargetError where a folder holds data, or a marker, that nightbatch has not written."""
    for entry in target.children(folder):
        name = entry.key.removeprefix(folder)
        if name == keys.SUCCESS:
            if decode(target.get(entry.key)) is None:
                raise TargetError(
                    f"target: {target.url}{entry.key} was not written by nightbatch. "
                    "Choose another target, or remove that file if the folder is meant for nightbatch."
                )
        elif is_data_file(name) and not keys.is_part(name):
            raise TargetError(
                f"target: {target.url}{entry.key} is a data file that nightbatch has not written, and readers of the "
                "partition would mix it with what is published. Choose another target, or move that file."
            )


def _above(folder: str) -> str:
    """Return the folder above a partition's; partitions of one dataset stand beside each other there."""
    above = folder.rstrip("/").rpartition("/")[0]
    return above + "/" if above else ""
