"""What earlier nights of a target looked like: the profiles that their `_SUCCESS` markers hold."""

from __future__ import annotations

import msgspec

from nightbatch.core import keys
from nightbatch.core.errors import Absent
from nightbatch.core.ports import Reads
from nightbatch.core.watch import Profile


def profiles(target: Reads, partition: str, nights: int) -> list[Profile]:
    """Read the profiles of the last partitions before this one, the newest last."""
    own = keys.folder(partition)
    above = own.rstrip("/").rpartition("/")[0]
    markers = [entry.key for entry in target.list(above + "/" if above else "") if entry.key.endswith(keys.SUCCESS)]
    earlier = sorted(key for key in markers if key.removesuffix(keys.SUCCESS) < own)
    return [profile for key in earlier[-nights:] if (profile := _profile(target, key))]


def _profile(target: Reads, key: str) -> Profile:
    try:
        found: Profile = msgspec.json.decode(target.get(key)).get("profile") or {}
    except Absent:  # it is being replaced just now
        return {}
    return found
