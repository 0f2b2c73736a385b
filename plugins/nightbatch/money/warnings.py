"""Warnings about money, before it is spent and after: prices, cache, reuse, billing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date

from nightbatch.amounts import usd
from nightbatch.ledger.facts import LandedFact
from nightbatch.messages.outcome import Status
from nightbatch.money import cache
from nightbatch.money.estimate import Estimate
from nightbatch.money.prices import Prices
from nightbatch.money.totals import tokens
from nightbatch.spec.run import Run


def warnings_before(prices: Prices, run: Run, today: date) -> tuple[str, ...]:
    """Warn about prices and cache before anything is bought."""
    return tuple(_before(prices, run, today))


def warnings_after(
    prices: Prices, run: Run, facts: Sequence[LandedFact], today: date
) -> list[str]:
    """Warn about what was bought; nothing if nothing was."""
    if not facts:
        return []
    return [*_before(prices, run, today), *_after(prices, run, facts)]


def _after(prices: Prices, run: Run, facts: Sequence[LandedFact]) -> Iterator[str]:
    full_price_count = sum(fact.full_price for fact in facts)
    if full_price_count:
        yield f"{full_price_count:,} requests were not served as a batch: they cost the full price."
    missing_count = sum(_missing_results(fact) for fact in facts)
    if missing_count:
        yield (
            f"{missing_count:,} requests had no result in their batches: if they were billed, that is not known here."
        )
    unpriced_tools = _unpriced_tools(prices, facts)
    if unpriced_tools:
        yield f"The price of {unpriced_tools} is not known, so the cost is not either: name it in NIGHTBATCH_PRICES."
    poor_cache = cache.poor_hit_rate(prices, run.model, tokens(facts))
    if poor_cache:
        yield poor_cache


def _missing_results(fact: LandedFact) -> int:
    """Count the requests whose batch had no result for them; none where no batch was bought."""
    return fact.statuses.get(str(Status.MISSING), 0) if fact.batch else 0


def reuse_off_note(repeated: Estimate, requests: int) -> str:
    """Say what asking again costs."""
    return (
        f"reuse is off: {repeated.requests:,} of {requests:,} requests have been answered before and would cost "
        f"nothing; asking them again costs about {usd(repeated.expected)}."
    )


def _unpriced_tools(prices: Prices, facts: Sequence[LandedFact]) -> str:
    """Name the server tools without a price that were used, and how often."""
    tool_uses = Counter[str]()
    for fact in facts:
        tool_uses.update(fact.server_tools)
    unpriced_uses = [
        f"{tool} ({count:,} uses)"
        for tool, count in tool_uses.items()
        if prices.tool_price(tool) is None
    ]
    return ", ".join(unpriced_uses)


def _before(prices: Prices, run: Run, today: date) -> Iterator[str]:
    model = run.model
    if not prices.has_price(model):
        yield f"The price of {model} is not known, so its cost is not either: name it in NIGHTBATCH_PRICES."
    doubt = prices.doubt(model)
    if doubt:
        yield f"The price of {model} was {doubt}: compare it with your bill, or name it in NIGHTBATCH_PRICES."
    stale_prices = prices.age_warning(today)
    if stale_prices:
        yield stale_prices
    short_system = cache.too_short(prices, model, run.frame)
    if short_system:
        yield short_system
