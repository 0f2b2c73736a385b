"""An attempt: what it buys of all that is pending, and what stops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from nightbatch.errors import CapExceeded
from nightbatch.ids import Shard
from nightbatch.money import caps
from nightbatch.money.cost_table import Row
from nightbatch.money.prices import prices
from nightbatch.money.warnings import reuse_off_note, warnings_before
from nightbatch.plan.canary import FirstBatch, first_batches_in_flight
from nightbatch.plan.difference import Asker, Difference, answered_for_others
from nightbatch.plan.quote import Quote
from nightbatch.prepare.staged import RequestSet

Notes = tuple[str, ...]


@dataclass(frozen=True)
class Attempt:
    """One attempt of a run to buy what is pending. first_batch: for the attempt of the canary only."""

    asker: Asker
    number: int
    cost_rows: list[Row]
    first_batch: FirstBatch | None
    now: Callable[[], datetime]

    @property
    def has_bought(self) -> bool:
        """Tell whether the run has bought something before."""
        ref = self.asker.ref
        for row in self.cost_rows:
            is_own = caps.is_of_run(ref, row["run"], row["target"], row["partition"])
            if is_own:
                return True
        return False


@dataclass(frozen=True)
class Prospect:
    """What an attempt could buy now, and what that would cost."""

    attempt: Attempt
    difference: Difference
    quote: Quote


@dataclass(frozen=True)
class Choice:
    """What an attempt buys, which shards of others it waits for, and notes for a reader of the log."""

    requests: RequestSet
    joined: list[Shard]
    notes: Notes = ()

    def buy_nothing(self, why: str) -> Choice:
        """Return the same without requests; a note says why."""
        no_requests = self.requests[:0]
        notes = (*self.notes, why)
        return replace(self, requests=no_requests, notes=notes)


def choose(prospect: Prospect) -> Choice:
    """Choose what to buy: all that is left, unless it is the first batch's turn, a cap forbids it or it is too late.

    Raises CapExceeded if a cap forbids the first purchase of a run.
    """
    attempt = prospect.attempt
    choice = _in_turn(prospect)
    is_first = attempt.number <= 1
    if is_first:
        notes = notes_on(prospect)
        choice = replace(choice, notes=notes)
    refused = cap_refusal(prospect)
    if not refused:
        return _in_time(attempt, choice)
    if not attempt.has_bought:
        raise CapExceeded(refused)
    return choice.buy_nothing(refused)


def _in_turn(prospect: Prospect) -> Choice:
    """Choose all that is left, or the first batch; nothing while a first batch of the same question is in flight."""
    attempt = prospect.attempt
    first_batch = attempt.first_batch
    difference = prospect.difference
    requests = difference.pending
    joined = difference.joined
    if first_batch is None:
        return Choice(requests, joined)
    asker = attempt.asker
    batches_in_flight = list(first_batches_in_flight(asker, joined))
    if batches_in_flight:
        no_requests = requests[:0]
        return Choice(no_requests, batches_in_flight)
    first_requests = first_batch.requests(asker.run, requests, prospect.quote)
    return Choice(first_requests, [])


def _in_time(attempt: Attempt, choice: Choice) -> Choice:
    """Buy nothing once the run's deadline has passed."""
    request_count = len(choice.requests)
    if not request_count:
        return choice
    now = attempt.now()
    if attempt.asker.ref.late(now):
        late_note = f"The deadline has passed: {request_count} are not asked."
        return choice.buy_nothing(late_note)
    return choice


def cap_refusal(prospect: Prospect) -> str | None:
    """Say which cap forbids the purchase; None where none does."""
    attempt = prospect.attempt
    run_caps = caps.caps(
        attempt.asker.ref,
        attempt.asker.ledger,
        prospect.difference.view,
        attempt.cost_rows,
        attempt.now(),
    )
    for cap in run_caps:
        refused = cap.refuses(prospect.quote.whole)
        if refused:
            return refused
    return None


def notes_on(prospect: Prospect) -> Notes:
    """Gather notes for a reader of the log, before the money is spent."""
    difference = prospect.difference
    pending_count = len(difference.pending)
    if not pending_count:
        return ()
    attempt = prospect.attempt
    asker = attempt.asker
    now = attempt.now()
    today = now.date()
    warnings = warnings_before(prices(), asker.run, today)
    if not asker.ref.scope:
        return warnings
    answered = answered_for_others(asker, difference)
    answered_estimate = prospect.quote.estimate(answered)
    reuse_note = reuse_off_note(answered_estimate, pending_count)
    return (*warnings, reuse_note)
