"""The report of a published partition: what was asked, bought and answered, what it cost and what was saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nightbatch.core.budget import total
from nightbatch.core.costs import amount
from nightbatch.core.facts import LandedFact

MICRO_USD = Decimal("0.000001")

Report = dict[str, Any]


@dataclass(frozen=True)
class Saved:
    """US dollars that were not paid, each against what would have been paid without it; None where that is unknown.

    batch: at the standard price. cache: had every token been plain input; below zero where writing cost more than
    reading saved. reuse: had requests that others bought been bought again. duplicates: had every row been bought.
    """

    batch: Decimal | None
    cache: Decimal | None
    reuse: Decimal | None
    duplicates: Decimal | None

    def to_json(self) -> dict[str, float | None]:
        """Return the four as numbers."""
        return {name: dollars(getattr(self, name)) for name in ("batch", "cache", "reuse", "duplicates")}


def tokens(facts: Iterable[LandedFact]) -> dict[str, int]:
    """Sum the tokens that were bought, by class."""
    total: dict[str, int] = {}
    for fact in facts:
        for name, count in fact.tokens.items():
            total[name] = total.get(name, 0) + count
    return total


def cost(facts: Iterable[LandedFact]) -> Decimal | None:
    """Sum what shards have cost; None if one of them has an unknown price."""
    return total(amount(fact.cost_usd) for fact in facts)


def saved_by_batch(facts: Iterable[LandedFact]) -> Decimal | None:
    """Sum what the batch price has saved."""
    return total(_less(fact.standard_usd, fact.cost_usd) for fact in facts)


def saved_by_cache(facts: Iterable[LandedFact]) -> Decimal | None:
    """Sum what the cache has saved."""
    return total(_less(fact.uncached_usd, fact.cost_usd) for fact in facts)


def money(facts: list[LandedFact]) -> Mapping[str, Any]:
    """Return what a run's batches cost, as estimated and as paid, in all and by attempt.

    A second purchase that came to light late is paid, but was never decided on: it is in no estimate.
    """
    decided = [fact.claim for fact in facts if fact.claim.batch is None]
    return {
        "cost_usd": dollars(cost(facts)),
        "estimated_usd": dollars(total(amount(claim.estimated_usd) for claim in decided)),
        "at_most_usd": dollars(total(amount(claim.at_most_usd) for claim in decided)),
        "estimated_how": sorted({claim.how for claim in decided if claim.how}),
        "by_attempt": [_attempt(facts, number) for number in sorted({fact.claim.attempt for fact in facts})],
    }


def dollars(amount: Decimal | None) -> float | None:
    """Round to a millionth of a dollar, for a report; the facts keep the exact amount."""
    return None if amount is None else float(amount.quantize(MICRO_USD))


def _attempt(facts: list[LandedFact], number: int) -> dict[str, Any]:
    wave = [fact for fact in facts if fact.claim.attempt == number]
    requests = sum(fact.claim.total for fact in wave)
    return {"attempt": number, "batches": len(wave), "requests": requests, "cost_usd": dollars(cost(wave))}


def _less(whole: str | None, paid: str | None) -> Decimal | None:
    return None if whole is None or paid is None else Decimal(whole) - Decimal(paid)
