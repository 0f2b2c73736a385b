"""What earlier nights of a target looked like: the profiles that their `_SUCCESS` markers hold."""

from __future__ import annotations

from itertools import islice

from nightbatch.core import keys
from nightbatch.core.ports import Reads
from nightbatch.core.watch import Profile
from nightbatch.steps import marker


def profiles(target: Reads, partition: str, nights: int) -> list[Profile]:
    """Read the profiles of the last partitions beside this one and before it, the newest last."""
    own = keys.folder(partition)
    above = own.rstrip("/").rpartition("/")[0]
    markers = islice(marker.before(target, own, within=f"{above}/" if above else ""), nights)
    return [earlier.profile for earlier in markers if earlier.profile][::-1]
