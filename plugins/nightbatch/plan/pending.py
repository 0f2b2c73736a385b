"""The whole logic: pending = asked − settled − in flight.

Requests are identified by number: the place at which they are staged. Ids are compared one span at a time, so that
memory does not grow with the number of requests: only the size and a few bits of each are held throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from nightbatch.columnar.id_lookup import Ids
from nightbatch.columnar.id_rounds import ROUND, IdRound


@dataclass
class Pending:
    """The status of each staged request: three bits, by its number."""

    count: int
    asked: np.ndarray = field(init=False)
    """Not a repeat of an earlier request."""
    settled: np.ndarray = field(init=False)
    in_flight: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.asked = np.zeros(self.count, dtype=bool)
        self.settled = np.zeros(self.count, dtype=bool)
        self.in_flight = np.zeros(self.count, dtype=bool)

    def ask(self, id_round: IdRound) -> None:
        """Mark the requests of a round as asked."""
        self.asked[id_round.numbers] = True

    def settle(self, id_round: IdRound, settled_ids: Iterable[Ids]) -> None:
        """Mark the requests that are settled already."""
        for ids in settled_ids:
            _, settled_numbers = id_round.look_up(ids)
            self.settled[settled_numbers] = True

    def mark_in_flight(self, id_round: IdRound, ids: Ids) -> bool:
        """Mark the ids of a shard in flight; return whether any of them is not settled."""
        _, shard_numbers = id_round.look_up(ids)
        is_unsettled = ~self.settled[shard_numbers]
        unsettled_numbers = shard_numbers[is_unsettled]
        self.in_flight[unsettled_numbers] = True
        return len(unsettled_numbers) > 0

    @property
    def asked_count(self) -> int:
        """Count the requests that are asked."""
        return int(self.asked.sum())

    @property
    def in_flight_count(self) -> int:
        """Count the requests that are in flight."""
        return int(self.in_flight.sum())

    def pending_numbers(self) -> np.ndarray:
        """Return the numbers of the pending requests, in rising order."""
        number_parts = [np.empty(0, np.int32)]
        for start in range(0, self.count, ROUND):
            span = slice(start, start + ROUND)
            pending_places = self._pending_places(span)
            pending_numbers = start + pending_places
            small_numbers = pending_numbers.astype(np.int32)
            number_parts.append(small_numbers)
        return np.concatenate(number_parts)

    def _pending_places(self, span: slice) -> np.ndarray:
        """Return the places in a span at which requests are pending."""
        is_asked = self.asked[span]
        is_done = self.settled[span] | self.in_flight[span]
        return np.flatnonzero(is_asked & ~is_done)


def shards(
    sizes: np.ndarray,
    *,
    max_requests: int,
    max_bytes: int,
    overhead: int,
    envelope: int,
) -> Iterator[range]:
    """Cut what is pending into shards, in its order: each fits a batch by count and by the exact bytes of its body.

    `sizes`: the bytes of each content. `overhead`: the bytes that an item adds to it, including its comma. `envelope`:
    the bytes of the body besides its items.
    """
    max_item_bytes = max_bytes - envelope + 1  # the last item has no comma
    start = 0
    while start < len(sizes):
        candidate_sizes = sizes[start : start + max_requests]
        candidate_count = len(candidate_sizes)
        request_counts = np.arange(1, candidate_count + 1)
        overheads = overhead * request_counts
        content_bytes = np.cumsum(candidate_sizes, dtype=np.int64)
        item_bytes = content_bytes + overheads
        fitting_count = int(np.searchsorted(item_bytes, max_item_bytes, side="right"))
        stop = start + max(1, fitting_count)
        yield range(start, stop)
        start = stop
