"""The canary: a batch of one to three requests that is sent before all others.

If the API rejects a template, schema or model, every row of a batch fails, an hour after it was sent. Sending three
rows first then costs nothing, and the other rows are not bought. The canary also writes the shared prefix to the cache,
which the later batches read, and its tokens show how many a row needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nightbatch.ids import Shard
from nightbatch.ledger.ledger import Ledger
from nightbatch.messages.outcome import Status
from nightbatch.money import cache
from nightbatch.money.prices import prices
from nightbatch.plan.difference import Asker
from nightbatch.plan.quote import Quote
from nightbatch.prepare.staged import RequestSet
from nightbatch.spec.run import Run
from nightbatch.spec.run_ref import RunRef

ATTEMPT = 0
"""The canary's number among the attempts; it does not count as one."""

ROWS = 3


def representative(sizes: np.ndarray) -> list[int]:
    """Choose up to three requests by their sizes (short, middle, long); return their places, in rising order.

    None if no more than three are pending.
    """
    if len(sizes) <= ROWS:
        return []
    chosen_places = set[int]()
    for chosen_size in _spread_sizes(sizes):
        new_place = _place_of_size(sizes, chosen_size, chosen_places)
        chosen_places.add(new_place)
    return sorted(chosen_places)


def _spread_sizes(sizes: np.ndarray) -> np.ndarray:
    """Choose three of the sizes: a short one, a middle one and a long one."""
    request_count = len(sizes)
    ranks = [request_count * eighths // 8 for eighths in (1, 4, 7)]
    ranked_sizes = np.partition(sizes, ranks)
    return ranked_sizes[ranks]


def _place_of_size(sizes: np.ndarray, size: np.integer[Any], taken: set[int]) -> int:
    """Find the first request of a size that is not taken yet."""
    same_size = np.flatnonzero(sizes == size)
    candidates: list[int] = same_size[:ROWS].tolist()
    return next(place for place in candidates if place not in taken)


def all_rejected(statuses: Mapping[str, int]) -> bool:
    """Tell whether the API rejected the content of all requests; one alone, sent to fill the cache, proves nothing."""
    request_count = sum(statuses.values())
    return request_count > 1 and set(statuses) == {str(Status.REJECTED)}


@dataclass(frozen=True)
class FirstBatch:
    """Whether a canary is sent first, and whether filling the cache may be worth it; with neither, all goes at once."""

    is_canary: bool
    """A canary is sent first."""
    may_prime: bool

    def __bool__(self) -> bool:
        return self.is_canary or self.may_prime

    def requests(self, run: Run, pending: RequestSet, quote: Quote) -> RequestSet:
        """Choose what is sent first: the canary's requests, or one request if filling the cache is worth the wait."""
        if self.is_canary:
            canary_places = representative(pending.sizes)
            return pending[canary_places]
        shared_tokens = quote.cached_tokens
        request_count = len(pending)
        priming_pays = cache.priming_pays(
            prices(), run.model, shared_tokens, request_count
        )
        if priming_pays:
            return pending[:1]
        return pending[:0]


def first_batch(asker: Asker) -> FirstBatch:
    """Decide what may be sent first, before anything is read."""
    may_prime = _may_prime(asker.run)
    wants_canary = _wants_canary(asker)
    return FirstBatch(wants_canary, may_prime)


def _may_prime(run: Run) -> bool:
    """Tell whether filling the cache may be worth it, by a rough upper bound of the shared tokens."""
    frame_tokens = len(run.identity) / cache.CHARACTERS_A_TOKEN
    most_shared_tokens = 2 * cache.shared_tokens(run.frame, frame_tokens)
    return cache.priming_pays(prices(), run.model, most_shared_tokens, run.requests)


def first_batches_in_flight(asker: Asker, joined: Iterable[Shard]) -> Iterator[Shard]:
    """Name the first batches of the same question that are in flight: they serve this run as well."""
    for shard in joined:
        claim = asker.ledger.claim(shard)
        if claim.attempt == ATTEMPT and claim.question == asker.run.question:
            yield shard


def _wants_canary(asker: Asker) -> bool:
    """Tell whether a canary is sent first: always, never, or if this question was never answered."""
    canary = asker.ref.rules.canary
    if canary == "always":
        return not _has_landed_canary(asker.ref, asker.ledger)
    return canary == "new" and not asker.ledger.answered_before(asker.run)


def _has_landed_canary(ref: RunRef, ledger: Ledger) -> bool:
    """Tell whether a canary of this run has landed."""
    for shard in ledger.view().landed:
        fact = ledger.landed(shard)
        if fact is None:
            continue
        claim = fact.claim
        if claim.buyer == ref.buyer and claim.attempt == ATTEMPT:
            return True
    return False
