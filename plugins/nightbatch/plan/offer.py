"""Quote: what a run would buy now and what that would cost, with nothing claimed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from nightbatch.ledger.ledger import Ledger
from nightbatch.money import caps
from nightbatch.money.estimate import Estimate
from nightbatch.plan.plan import cap_refusal, notes_on, take_difference
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
    difference = take_difference(ref, run, ledger)
    cost_rows = caps.read(ref, run.question, ledger, now())
    run_quote = quote_for(run, difference.pending, cost_rows, count_tokens)
    return Offer(
        asked=difference.asked,
        in_flight=difference.in_flight,
        estimate=run_quote.whole,
        notes=notes_on(ref, run, ledger, difference, run_quote, now()),
        refusal=cap_refusal(ref, ledger, difference.view, cost_rows, run_quote, now()),
    )
