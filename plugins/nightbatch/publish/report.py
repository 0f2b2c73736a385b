"""The report of a published partition: what was asked, bought and answered, what it cost and what was saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nightbatch.ledger.facts import LandedFact
from nightbatch.money.caps import total
from nightbatch.money.cost_table import amount
from nightbatch.money.totals import cost, dollars

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
        return {
            name: dollars(getattr(self, name))
            for name in ("batch", "cache", "reuse", "duplicates")
        }


def money(facts: list[LandedFact]) -> Mapping[str, Any]:
    """Return what a run's batches cost, as estimated and as paid, in all and by attempt.

    A second purchase that came to light late is paid, but was never decided on: it is in no estimate.
    """
    decided = [fact.claim for fact in facts if fact.claim.batch is None]
    return {
        "cost_usd": dollars(cost(facts)),
        "estimated_usd": dollars(
            total(amount(claim.estimated_usd) for claim in decided)
        ),
        "at_most_usd": dollars(total(amount(claim.at_most_usd) for claim in decided)),
        "estimated_how": sorted({claim.how for claim in decided if claim.how}),
        "by_attempt": [
            _attempt(facts, number)
            for number in sorted({fact.claim.attempt for fact in facts})
        ],
    }


def _attempt(facts: list[LandedFact], number: int) -> dict[str, Any]:
    wave = [fact for fact in facts if fact.claim.attempt == number]
    requests = sum(fact.claim.total for fact in wave)
    return {
        "attempt": number,
        "batches": len(wave),
        "requests": requests,
        "cost_usd": dollars(cost(wave)),
    }
