"""What follows from a POST that bought nothing: it is sent again, its claim is given up, or a person must act first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from nightbatch.errors import AccountStopped, Incomplete, NotSent
from nightbatch.failpoints import reach
from nightbatch.ledger.facts import Refusal
from nightbatch.ledger.shard_facts import ShardFacts
from nightbatch.submit.decide import (
    Clock,
    first_sent_at,
    growing_pause,
    patience_ends,
    repeated,
)
from nightbatch.submit.outcome import Later
from nightbatch.submit.patience import Patience
from nightbatch.submit.release import give_up
from nightbatch.submit.room.turns import QueueRoom

WhyNotSent = NotSent | AccountStopped | Incomplete


@dataclass(frozen=True)
class RefusedPost:
    """The POST of a number, of a claim, which bought nothing."""

    facts: ShardFacts
    number: int
    room: QueueRoom
    patience: Patience

    def record(self, error: WhyNotSent, now: Clock) -> Later | None:
        """Record the refusal: then send again later, give the claim up, or raise what only a person can fix."""
        reach("create refused")
        refusal = Refusal(at=now(), why=str(error))
        match error:
            case AccountStopped():
                self._write(refusal)
                raise error
            case Incomplete():
                self._give_up(refusal)
                return None
            case NotSent():
                return self._retry(refusal, error)

    def _retry(self, refusal: Refusal, error: NotSent) -> Later:
        """Wait until the POST may be sent again; give the claim up if it may not. Raises NotSent."""
        retry_seconds = error.retry_after or self.patience.timing.retry
        retry_at = refusal.at + timedelta(seconds=retry_seconds)
        if error.full:
            return self._wait_for_room(refusal, retry_at)
        retryable = replace(refusal, retry_at=retry_at, once=error.once)
        if not error.retryable or repeated(self.facts.sendings, retryable):
            self._give_up(retryable)
            raise NotSent(refusal.why, retryable=False)
        return self._wait(retryable, retry_at)

    def _wait(self, refusal: Refusal, retry_at: datetime) -> Later:
        """Wait until the POST may be sent again; raise NotSent once patience is over."""
        self._write_temporary(refusal)
        self.patience.check(refusal)
        why = self.patience.words(refusal.why, refusal.at)
        return Later(retry_at, why, holds_all=True)

    def _wait_for_room(self, refusal: Refusal, retry_at: datetime) -> Later:
        """Wait for room in the queue, possibly for hours; the first in line tries again, less and less often."""
        self._write_temporary(refusal)
        full_until = self._full_until(refusal.at, retry_at)
        place = self.room.place(self.facts, full_until)
        return Later(refusal.at, refusal.why, place=place, holds_all=True)

    def _full_until(self, refused_at: datetime, retry_at: datetime) -> datetime:
        """Return until when the queue counts as full."""
        started_at = first_sent_at(self.facts.sendings, refused_at)
        pause = growing_pause(started_at, refused_at)
        return max(retry_at, refused_at + pause)

    def _give_up(self, refusal: Refusal) -> None:
        released = replace(refusal, released=True)
        give_up(self.facts, self.number, released)

    def _write_temporary(self, refusal: Refusal) -> None:
        """Record a refusal after which the POST may be sent again; raise NotSent once patience is over."""
        self._write(refusal)
        reach("refusal written")
        patience_end = patience_ends(
            self.facts.sendings, refusal.at, self.patience.timing
        )
        if refusal.at > patience_end:
            raise NotSent(refusal.why, retryable=False)

    def _write(self, refusal: Refusal) -> None:
        self.facts.ledger.write_refusal(self.facts.shard, self.number, refusal)
