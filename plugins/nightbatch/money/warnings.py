"""What a person should be told about money, before it is spent and after: prices, cache, reuse, billing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date

from nightbatch.ledger.facts import LandedFact
from nightbatch.messages.outcome import Status
from nightbatch.money import cache
from nightbatch.money.estimate import Estimate, usd
from nightbatch.money.prices import Prices
from nightbatch.money.totals import tokens
from nightbatch.spec.run import Run


def advice(prices: Prices, run: Run, today: date) -> tuple[str, ...]:
    """Say what is doubtful about prices and cache before anything is bought."""
    return tuple(_before(prices, run, today))


def afterwards(
    prices: Prices, run: Run, facts: Sequence[LandedFact], today: date
) -> list[str]:
    """Say what is doubtful about what was bought; nothing where nothing was."""
    if not facts:
        return []
    notes = list(_before(prices, run, today))
    if full_price := sum(fact.full_price for fact in facts):
        notes.append(
            f"{full_price:,} requests were not served as a batch: they cost the full price."
        )
    if missing := sum(
        fact.statuses.get(str(Status.MISSING), 0) for fact in facts if fact.batch
    ):
        notes.append(
            f"{missing:,} requests had no result in their batches: if they were billed, that is not known here."
        )
    if unpriced := _unpriced_tools(prices, facts):
        notes.append(
            f"The price of {unpriced} is not known, so the cost is not either: name it in NIGHTBATCH_PRICES."
        )
    if poor := cache.poor(prices, run.model, tokens(facts)):
        notes.append(poor)
    return notes


def anew_note(anew: Estimate, requests: int) -> str:
    """Say what asking anew costs."""
    return (
        f"reuse is off: {anew.requests:,} of {requests:,} requests have been answered before and would cost nothing; "
        f"asking them anew costs about {usd(anew.expected)}."
    )


def _unpriced_tools(prices: Prices, facts: Sequence[LandedFact]) -> str:
    """Name the server tools without a price that were used, and how often."""
    uses = Counter[str]()
    for fact in facts:
        uses.update(fact.server_tools)
    return ", ".join(
        f"{tool} ({count:,} uses)"
        for tool, count in uses.items()
        if prices.tool_price(tool) is None
    )


def _before(prices: Prices, run: Run, today: date) -> Iterator[str]:
    if not prices.knows(run.model):
        yield f"The price of {run.model} is not known, so its cost is not either: name it in NIGHTBATCH_PRICES."
    if doubt := prices.doubt(run.model):
        yield f"The price of {run.model} was {doubt}: compare it with your bill, or name it in NIGHTBATCH_PRICES."
    if stale := prices.stale(today):
        yield stale
    if short := cache.too_short(prices, run.model, run.frame):
        yield short
