"""The lease: planners of one state run one after the other, so that each sees the claims of those before it.

A lease is a fact like any other: number n+1 is created once n has expired, was released, or is held by the same run,
whose earlier try must have ended. It only saves work; the log of claims ensures that nothing is claimed twice.
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
from nightbatch.retrying import Backoff

SECONDS = 300.0
PAUSES = Backoff(first_seconds=0.05, most_seconds=2.0, factor=1.5)
"""Between two looks at a lease that another holds."""
PATIENT = 5
"""How many lease times to wait for others."""
KEPT = 4
"""How many ended leases to keep for a person to read."""


@dataclass(frozen=True)
class Lease(Fact):
    """Who may plan, and until when."""

    holder: str
    until: datetime


Lease.learn()


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
    """Hold the lease of a state for the length of a block; wait for another holder, up to `patience` seconds.

    Raises LeaseTaken if it is still held then; without `patience` that is after five lease times. `of`: the folder of
    the leases.
    """
    longest_wait = PATIENT * seconds
    max_wait = longest_wait if patience is None else min(patience, longest_wait)
    waited_seconds = 0.0
    tries = 0
    while (number := _take(store, holder, now(), seconds, of)) is None:
        if waited_seconds >= max_wait:
            message = f"{store.url}: others have held the lease {of} for {waited_seconds:.0f} s. Try again later."
            raise LeaseTaken(message, until=now() + timedelta(seconds=seconds))
        tries += 1
        pause_seconds = PAUSES.pause(tries)
        pause(pause_seconds)
        waited_seconds += pause_seconds
    try:
        yield
    finally:
        store.create(keys.lease_end(number, of), b"{}")
        reach("lease given back")
        store.remove(_old_keys(number, of))


def _old_keys(number: int, folder: str) -> Iterator[str]:
    """Name the objects of ended leases that are not kept any longer."""
    first_number = max(1, number - 2 * KEPT)
    for old_number in range(first_number, number - KEPT):
        yield keys.lease(old_number, folder)
        yield keys.lease_end(old_number, folder)


def _take(
    store: Store, holder: str, now: datetime, seconds: float, folder: str
) -> int | None:
    """Return the number of the new lease; None if another holder has it."""
    listed_keys = {entry.key for entry in store.list(folder)}
    last_number = max(map(keys.number_of, listed_keys), default=0)
    last_end_key = keys.lease_end(last_number, folder)
    if last_number and last_end_key not in listed_keys:
        last_key = keys.lease(last_number, folder)
        if _is_held_by_another(store, last_key, holder, now):
            return None
    expires_at = now + timedelta(seconds=seconds)
    next_lease = Lease(holder=holder, until=expires_at)
    next_number = last_number + 1
    next_key = keys.lease(next_number, folder)
    was_created = store.create(next_key, next_lease.to_json())
    return next_number if was_created else None


def _is_held_by_another(store: Store, key: str, holder: str, now: datetime) -> bool:
    try:
        raw_lease = store.get(key)
    except Absent:  # released and removed since it was listed
        return False
    lease = Lease.from_json(raw_lease)
    is_running = lease.until > now
    return is_running and lease.holder != holder
