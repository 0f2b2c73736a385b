"""The lease: planners of one state go one after the other, so that each sees the claims of those before it.

A lease is a fact like any other: number n+1 is created once n has expired or was given back. It saves work; that no
request is claimed twice rests on the claims' own log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from nightbatch.core import keys
from nightbatch.core.errors import Absent, StoreError
from nightbatch.core.facts import Fact
from nightbatch.core.ports import Store

SECONDS = 300.0
PATIENCE = 3 * SECONDS


@dataclass(frozen=True)
class Lease(Fact):
    """Who may plan, and until when."""

    holder: str
    until: datetime


@contextmanager
def hold(
    store: Store, now: Callable[[], datetime], *, seconds: float = SECONDS, pause: Callable[[float], None] = time.sleep
) -> Iterator[None]:
    """Hold the lease of a state for the length of a block; wait for whoever has it."""
    holder, waited, step = uuid4().hex, 0.0, 0.05
    while (number := _take(store, holder, now(), seconds)) is None:
        if waited > PATIENCE:
            raise StoreError(f"{store.url}: another planner has held the lease for {waited:.0f} s. Try again later.")
        pause(step)
        waited, step = waited + step, min(2.0, step * 1.5)
    try:
        yield
    finally:
        store.create(keys.lease_end(number), holder.encode())
        store.remove(key for old in range(max(0, number - 4), number) for key in (keys.lease(old), keys.lease_end(old)))


def _take(store: Store, holder: str, now: datetime, seconds: float) -> int | None:
    """Return the number of the lease if it could be taken."""
    names = [entry.key for entry in store.list(keys.LEASES)]
    numbers = sorted(int(name.rsplit("/", 1)[1].split(".")[0]) for name in names)
    last = numbers[-1] if numbers else 0
    if last and keys.lease_end(last) not in names and _until(store, last) > now:
        return None
    mine = Lease(holder=holder, until=now + timedelta(seconds=seconds))
    return last + 1 if store.create(keys.lease(last + 1), mine.to_json()) else None


def _until(store: Store, number: int) -> datetime:
    try:
        return Lease.from_json(store.get(keys.lease(number))).until
    except Absent:  # given back and cleared away since it was listed
        return datetime.min.replace(tzinfo=UTC)
