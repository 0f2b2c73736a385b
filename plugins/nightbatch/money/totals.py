"""Sums over what has landed: tokens, and US dollars paid and saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from nightbatch.ledger.facts import LandedFact
from nightbatch.money.caps import total
from nightbatch.money.cost_table import amount, saved

MICRO_USD = Decimal("0.000001")


def tokens(facts: Iterable[LandedFact]) -> dict[str, int]:
    """Sum the tokens that were bought, by class."""
    token_sums = Counter[str]()
    for fact in facts:
        token_sums.update(fact.tokens)
    return dict(token_sums)


def cost(facts: Iterable[LandedFact]) -> Decimal | None:
    """Sum what shards have cost; None if one of them has an unknown price."""
    return total(amount(fact.cost_usd) for fact in facts)


def saved_by_batch(facts: Iterable[LandedFact]) -> Decimal | None:
    """Sum what the batch price has saved."""
    return total(saved(fact.standard_usd, amount(fact.cost_usd)) for fact in facts)


def saved_by_cache(facts: Iterable[LandedFact]) -> Decimal | None:
    """Sum what the cache has saved."""
    return total(saved(fact.uncached_usd, amount(fact.cost_usd)) for fact in facts)


def dollars(amount: Decimal | None) -> float | None:
    """Round to a millionth of a dollar, for a report; the facts keep the exact amount."""
    return None if amount is None else float(amount.quantize(MICRO_USD))
