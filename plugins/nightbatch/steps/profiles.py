"""What earlier nights of a target looked like: the profiles that their `_SUCCESS` markers hold."""

from __future__ import annotations

from itertools import islice

from nightbatch.core import keys
from nightbatch.core.ports import Reads
from nightbatch.core.watch import Profile
from nightbatch.steps import marker


def profiles(target: Reads, partition: str, nights: int) -> list[Profile]:
    """Read the profiles of the last partitions before this one, the newest last."""
    markers = islice(marker.before(target, keys.folder(partition)), nights)
    found = [profile for earlier in markers if (profile := earlier.get("profile"))]
    return found[::-1]
