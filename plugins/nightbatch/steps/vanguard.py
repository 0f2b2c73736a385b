"""The vanguard: what is sent ahead of the first attempt, if anything: a canary, or one request that fills the cache."""

from __future__ import annotations

from dataclasses import dataclass

from nightbatch.core import caching, canary
from nightbatch.core.facts import RunRef
from nightbatch.core.ids import Shard
from nightbatch.core.run import Run
from nightbatch.steps.asked import Requests
from nightbatch.steps.estimate import Quote
from nightbatch.steps.ledger import Ledger
from nightbatch.steps.prices import prices


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
            return left[canary.representative(left.sizes)]
        shared = quote.estimator.cached.tokens if quote.estimator else 0.0
        return left[: int(caching.pays(prices(), run.model, shared, len(left)))]


def vanguard(ref: RunRef, run: Run, ledger: Ledger) -> Vanguard:
    """Say what may go ahead, before anything is read."""
    shared = caching.shared_tokens(run.frame, len(run.identity) / caching.CHARACTERS_A_TOKEN)
    may_prime = caching.pays(prices(), run.model, 2 * shared, run.requests)
    return Vanguard(_wants_canary(ref, run, ledger), may_prime)


def flying(run: Run, ledger: Ledger, joined: list[Shard]) -> list[Shard]:
    """Name the vanguards of the same question that are in flight: they serve this run as well."""
    claims = {shard: ledger.claim(shard) for shard in joined}
    return [s for s, c in claims.items() if c.attempt == canary.ATTEMPT and c.question == run.question]


def _wants_canary(ref: RunRef, run: Run, ledger: Ledger) -> bool:
    """Tell whether a canary goes first: always, never, or where this question was never answered."""
    if ref.canary == "always":
        landed = (ledger.landed(shard) for shard in ledger.view().landed)
        mine = (fact.claim for fact in landed if fact is not None and fact.claim.buyer == ref.buyer)
        return not any(claim.attempt == canary.ATTEMPT for claim in mine)
    return ref.canary == "new" and not ledger.answered_before(run)
