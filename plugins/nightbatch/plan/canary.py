"""The canary: one to three requests, a batch of their own, that go before all others.

A template, schema or model that the API does not take fails every row of a batch, an hour after it was sent. Asked of
three rows first it costs nothing, and the other rows are not bought. The canary also writes the shared prefix to the
cache, which the batches after it read, and its tokens measure what a row takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nightbatch.ids import Shard
from nightbatch.ledger.ledger import Ledger
from nightbatch.messages.outcome import Status
from nightbatch.money import cache
from nightbatch.money.prices import prices
from nightbatch.plan.quote import Quote
from nightbatch.prepare.staged import Requests
from nightbatch.spec.run import Run
from nightbatch.spec.run_ref import RunRef

ATTEMPT = 0
"""The canary's place among the attempts; it counts as none of them."""

ROWS = 3


def representative(sizes: np.ndarray) -> list[int]:
    """Choose up to three requests by their sizes: a short one, one of middle length, a long one; by place, rising.

    None where no more are pending.
    """
    if len(sizes) <= ROWS:
        return []
    chosen: set[int] = set()
    ranks = [len(sizes) * eighths // 8 for eighths in (1, 4, 7)]
    for size in np.partition(sizes, ranks)[ranks]:
        alike = np.flatnonzero(sizes == size)[:ROWS].tolist()
        chosen.add(next(place for place in alike if place not in chosen))
    return sorted(chosen)


def all_rejected(statuses: Mapping[str, int]) -> bool:
    """Tell whether the API refused every request for what it is; one alone, sent to fill the cache, tells nothing."""
    return sum(statuses.values()) > 1 and set(statuses) == {str(Status.REJECTED)}


@dataclass(frozen=True)
class Vanguard:
    """Whether a canary sings, and whether a cache may be worth filling; with neither, all goes at once."""

    sings: bool
    may_prime: bool

    def __bool__(self) -> bool:
        return self.sings or self.may_prime

    def requests(self, run: Run, left: Requests, quote: Quote) -> Requests:
        """Choose what goes ahead: the canary's requests, or the first one where the cache pays for the wait."""
        if self.sings:
            return left[representative(left.sizes)]
        shared = quote.estimator.cached.tokens if quote.estimator else 0.0
        return left[: int(cache.pays(prices(), run.model, shared, len(left)))]


def vanguard(ref: RunRef, run: Run, ledger: Ledger) -> Vanguard:
    """Say what may go ahead, before anything is read."""
    shared = cache.shared_tokens(
        run.frame, len(run.identity) / cache.CHARACTERS_A_TOKEN
    )
    may_prime = cache.pays(prices(), run.model, 2 * shared, run.requests)
    return Vanguard(_wants_canary(ref, run, ledger), may_prime)


def flying(run: Run, ledger: Ledger, joined: list[Shard]) -> list[Shard]:
    """Name the vanguards of the same question that are in flight: they serve this run as well."""
    claims = {shard: ledger.claim(shard) for shard in joined}
    return [
        s
        for s, c in claims.items()
        if c.attempt == ATTEMPT and c.question == run.question
    ]


def _wants_canary(ref: RunRef, run: Run, ledger: Ledger) -> bool:
    """Tell whether a canary goes first: always, never, or where this question was never answered."""
    if ref.canary == "always":
        landed = (ledger.landed(shard) for shard in ledger.view().landed)
        mine = (
            fact.claim
            for fact in landed
            if fact is not None and fact.claim.buyer == ref.buyer
        )
        return not any(claim.attempt == ATTEMPT for claim in mine)
    return ref.canary == "new" and not ledger.answered_before(run)
