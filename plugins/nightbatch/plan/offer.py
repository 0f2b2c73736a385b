"""Quote: what a run would buy now and what that would cost, with nothing claimed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from nightbatch.ledger.ledger import Ledger
from nightbatch.money import caps
from nightbatch.money.estimate import Estimate
from nightbatch.plan.attempt import Attempt, Prospect, cap_refusal, notes_on
from nightbatch.plan.difference import Asker, take_difference
from nightbatch.plan.quote import TokenCounter, quote_for
from nightbatch.spec.run_ref import RunRef


@dataclass(frozen=True)
class Offer:
    """How many requests a run asks, how many others have in flight, what is left to buy, and what forbids it."""

    asked: int
    in_flight: int
    estimate: Estimate
    notes: tuple[str, ...] = ()
    refusal: str | None = None

    @property
    def reused(self) -> int:
        """Count the requests that are answered already."""
        return self.asked - self.in_flight - self.estimate.requests


def quote(
    ref: RunRef,
    ledger: Ledger,
    now: Callable[[], datetime],
    count_tokens: TokenCounter | None = None,
) -> Offer:
    """Estimate what a run would buy."""
    run = ledger.run(ref.snapshot)
    asker = Asker(ref, run, ledger)
    difference = take_difference(asker)
    cost_rows = caps.read(ref, run.question, ledger, now())
    attempt = Attempt(asker, 1, cost_rows, first_batch=None, now=now)
    run_quote = quote_for(run, difference.pending, cost_rows, count_tokens)
    prospect = Prospect(attempt, difference, run_quote)
    return Offer(
        asked=difference.asked,
        in_flight=difference.in_flight,
        estimate=run_quote.whole,
        notes=notes_on(prospect),
        refusal=cap_refusal(prospect),
    )
