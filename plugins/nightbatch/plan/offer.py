"""Quote: what a run would buy now and what that would cost, with nothing claimed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from nightbatch.ledger.ledger import Ledger
from nightbatch.money import caps
from nightbatch.money.estimate import Estimate
from nightbatch.plan.plan import look, notes_on, refusal
from nightbatch.plan.quote import Counts, quoted
from nightbatch.spec.run_ref import RunRef


@dataclass(frozen=True)
class Offer:
    """What is asked, how much of it others have in flight, what is left to buy, and what speaks against it."""

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
    counts: Counts | None = None,
) -> Offer:
    """Estimate what a run would buy."""
    run = ledger.run(ref.snapshot)
    found = look(ref, run, ledger)
    rows = caps.read(ref, run.question, ledger, now())
    made = quoted(run, found.left, rows, counts)
    return Offer(
        asked=found.asked,
        in_flight=found.flying,
        estimate=made.whole,
        notes=notes_on(ref, run, ledger, found, made, now()),
        refusal=refusal(ref, ledger, found.view, rows, made, now()),
    )
