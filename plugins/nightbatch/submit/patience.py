"""For how long a claim's POST is tried while the API refuses for the moment or cannot be read, by the claim's facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from nightbatch.errors import NotSent
from nightbatch.ledger import keys
from nightbatch.ledger.facts import Refusal
from nightbatch.ledger.shard_facts import ShardFacts
from nightbatch.submit.decide import SubmitTiming, patience_ends, tried_since

NEWEST = 50
"""Batches of a state that are looked at to learn whether a run has bought one: its own are the newest."""


@dataclass(frozen=True)
class Patience:
    """How long one claim's POST is tried: minutes if its run has bought nothing, else a day; never after the deadline.

    `give_up_seconds`: for a run that has bought nothing; None: as long as for any other.
    """

    facts: ShardFacts
    timing: SubmitTiming
    give_up_seconds: float | None = None
    deadline: datetime | None = None

    def check(self, refusal: Refusal) -> None:
        """Raise NotSent once a run that has bought nothing has tried too long."""
        tried_at = refusal.at
        give_up_at = self._give_up_at(tried_at)
        if give_up_at is None or tried_at <= give_up_at:
            return
        assert self.give_up_seconds is not None
        minutes = self.give_up_seconds / 60
        started_at = tried_since(self.facts.sendings, tried_at)
        raise NotSent(
            f"{refusal.why} It was tried from {started_at:%H:%M} to {tried_at:%H:%M} UTC, as "
            f"give_up_minutes={minutes:g} allows. Nothing was bought.",
            retryable=False,
        )

    def words(self, why: str, now: datetime) -> str:
        """Say why a POST was refused, and until when it is sent again."""
        patience_end = patience_ends(self.facts.sendings, now, self.timing)
        ends = [patience_end]
        give_up_at = self._give_up_at(now)
        if give_up_at is not None:
            ends.append(give_up_at)
        if self.deadline is not None:
            ends.append(self.deadline)
        until = min(ends)
        return f"{why} It is sent again until {until:%Y-%m-%d %H:%M} UTC."

    def _give_up_at(self, now: datetime) -> datetime | None:
        """Return when a run that has bought nothing gives up; None: it does not."""
        seconds = self.give_up_seconds
        if seconds is None or seconds >= self.timing.patience or self._has_bought:
            return None
        return tried_since(self.facts.sendings, now) + timedelta(seconds=seconds)

    @property
    def _has_bought(self) -> bool:
        """Tell whether the run of the claim has bought any of the newest batches of this state."""
        ledger = self.facts.ledger
        newest_bought = ledger.shards_in(keys.BATCHES)[-NEWEST:]
        buyer = self.facts.claim.buyer
        return any(ledger.claim(shard).buyer == buyer for shard in newest_bought)
