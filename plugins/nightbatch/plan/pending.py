"""The whole logic: pending = asked − settled − in flight.

Requests are known by number: the place at which they are staged. Ids are compared a span of them at a time, so that
memory does not grow with what is asked: of each request only its size and a few bits are held throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from nightbatch.columnar.id_lookup import Ids
from nightbatch.columnar.id_rounds import ROUND, Round


@dataclass
class Pending:
    """What is known of each staged request: three bits, by its number."""

    count: int
    asked: np.ndarray = field(init=False)
    """Not a repeat of one before it."""
    settled: np.ndarray = field(init=False)
    flying: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.asked, self.settled, self.flying = (
            np.zeros(self.count, dtype=bool) for _ in range(3)
        )

    def ask(self, some: Round) -> None:
        """Take in the requests of a round."""
        self.asked[some.numbers] = True

    def settle(self, some: Round, known: Iterable[Ids]) -> None:
        """Take in ids that need not be asked again."""
        for ids in known:
            self.settled[some.look_up(ids)[1]] = True

    def fly(self, some: Round, ids: Ids) -> bool:
        """Take in the ids of a shard in flight; tell whether something that is not settled is among them."""
        _, found = some.look_up(ids)
        found = found[~self.settled[found]]
        self.flying[found] = True
        return len(found) > 0

    def left(self) -> np.ndarray:
        """Return the numbers of those that are pending, rising."""
        left = [np.empty(0, np.int32)]
        for start in range(0, self.count, ROUND):
            some = slice(start, start + ROUND)
            found = np.flatnonzero(
                self.asked[some] & ~self.settled[some] & ~self.flying[some]
            )
            left.append((found + start).astype(np.int32))
        return np.concatenate(left)


def shards(
    sizes: np.ndarray,
    *,
    max_requests: int,
    max_bytes: int,
    overhead: int,
    envelope: int,
) -> Iterator[range]:
    """Cut what is pending into shards, in its order: each fits a batch by count and by the exact bytes of its body.

    `sizes` are the bytes of each content; `overhead` is what an item adds to it, its comma included; `envelope` what
    the body adds besides.
    """
    room, start = max_bytes - envelope + 1, 0  # the last item has no comma
    while start < len(sizes):
        some = np.cumsum(
            sizes[start : start + max_requests], dtype=np.int64
        ) + overhead * np.arange(1, len(sizes[start : start + max_requests]) + 1)
        stop = start + max(1, int(np.searchsorted(some, room, side="right")))
        yield range(start, stop)
        start = stop
