"""The lease: planners of one state go one after the other, so that each sees the claims of those before it.

A lease is a fact like any other: number n+1 is created once n has expired, was given back, or is held by the same run,
whose earlier try must have ended. It saves work; that nothing is claimed twice rests on the claims' own log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from nightbatch.errors import Absent, LeaseTaken
from nightbatch.failpoints import reach
from nightbatch.ledger import keys
from nightbatch.ledger.facts import Fact
from nightbatch.ports import Store

SECONDS = 300.0
PATIENT, KEPT = 5, 4
"""For so many leases' time others are waited for; so many that are over stay for a person to read."""


@dataclass(frozen=True)
class Lease(Fact):
    """Who may plan, and until when."""

    holder: str
    until: datetime


@contextmanager
def hold(  # noqa: PLR0913
    store: Store,
    now: Callable[[], datetime],
    *,
    holder: str,
    seconds: float = SECONDS,
    of: str = keys.LEASES,
    pause: Callable[[float], None] = time.sleep,
    patience: float | None = None,
) -> Iterator[None]:
    """Hold the lease of a state for the length of a block; wait for whoever has it, up to `patience` seconds.

    Raises LeaseTaken where it is still held then; without `patience` that is after five leases' time.
    """
    longest = PATIENT * seconds
    limit = longest if patience is None else min(patience, longest)
    waited, step = 0.0, 0.05
    while (number := _take(store, holder, now(), seconds, of)) is None:
        if waited >= limit:
            message = f"{store.url}: others have held the lease {of} for {waited:.0f} s. Try again later."
            raise LeaseTaken(message, until=now() + timedelta(seconds=seconds))
        pause(step)
        waited, step = waited + step, min(2.0, step * 1.5)
    try:
        yield
    finally:
        store.create(keys.lease_end(number, of), b"{}")
        reach("lease given back")
        old = range(max(1, number - 2 * KEPT), number - KEPT)
        store.remove(
            key for one in old for key in (keys.lease(one, of), keys.lease_end(one, of))
        )


def _take(
    store: Store, holder: str, now: datetime, seconds: float, of: str
) -> int | None:
    """Return the number of the lease if it could be taken."""
    names = {entry.key for entry in store.list(of)}
    last = max((int(name.rsplit("/", 1)[1].split(".")[0]) for name in names), default=0)
    if (
        last
        and keys.lease_end(last, of) not in names
        and _holds(store, keys.lease(last, of), holder, now)
    ):
        return None
    mine = Lease(holder=holder, until=now + timedelta(seconds=seconds))
    return last + 1 if store.create(keys.lease(last + 1, of), mine.to_json()) else None


def _holds(store: Store, key: str, holder: str, now: datetime) -> bool:
    """Tell whether another than this holder has a lease now."""
    try:
        lease = Lease.from_json(store.get(key))
    except Absent:  # given back and cleared away since it was listed
        return False
    return lease.holder != holder and lease.until > now
