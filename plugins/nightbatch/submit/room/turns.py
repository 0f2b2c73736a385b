"""Room in the account's queue for one shard: senders take turns, and each counts what others are about to send.

A turn is a lease, held from the look at the queue until the post fact is written. The next sender counts that post, so
two senders never take the same room.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from uuid import uuid4

from nightbatch.ids import Shard
from nightbatch.ledger import keys, lease
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.shard_facts import ShardFacts
from nightbatch.messages.listing import listed
from nightbatch.ports import Batches
from nightbatch.submit.decide import Clock, SubmitTiming
from nightbatch.submit.room.queue import LIFETIME, QueuePosition, fits, queued

TURN_SECONDS = 60.0
UNLIMITED = 1_000_000_000


@dataclass(frozen=True)
class QueueLimit:
    """Most requests in the account's queue (`cap`); `admitted`: it is this shard's turn, so it waits for no other."""

    cap: int | None = None
    admitted: bool = False


NO_LIMIT = QueueLimit()


@dataclass(frozen=True)
class QueueRoom:
    """The room that one ledger and one account have for a shard under a limit (`rule`)."""

    ledger: Ledger
    api: Batches
    now: Clock
    timing: SubmitTiming
    rule: QueueLimit

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let only one sender at a time look for room, if room is limited."""
        if self.rule.cap is None:
            yield
            return
        turn = lease.hold(
            self.ledger.store,
            self.now,
            holder=uuid4().hex,
            seconds=TURN_SECONDS,
            of=keys.TURNS,
        )
        with turn:
            yield

    def place(self, facts: ShardFacts) -> QueuePosition:
        """Return a shard's place among all that wait: older claims first, over all runs and targets."""
        claim = facts.claim
        created_at = claim.created_at.astimezone(UTC)
        claim_time = created_at.strftime("%Y%m%dT%H%M%S.%f")
        order = f"{claim_time} {self.ledger.store.url}{facts.shard}"
        cap = UNLIMITED if self.rule.cap is None else self.rule.cap
        return QueuePosition(order, claim.total, cap)

    def place_to_wait(self, facts: ShardFacts) -> QueuePosition | None:
        """Return the place in which a shard must wait; None if there is room. Raises ApiUnavailable.

        A shard that has not waited may use only the first half of the queue: the line cannot be read here, and many
        small shards must not take the room that a large shard of another target waits for.
        """
        if self.rule.cap is None:
            return None
        place = self.place(facts)
        usable = place
        if not self.rule.admitted:
            usable = replace(place, cap=place.cap // 2)
        # Counted before the listing, so that no batch is missed between the two.
        used = self._about_to_be_sent(facts.shard, usable)
        if fits(usable, used):
            listed_since = self.now() - LIFETIME
            used += queued(listed(self.api, listed_since))
        return None if fits(usable, used) else place

    def _about_to_be_sent(self, shard: Shard, usable: QueuePosition) -> int:
        """Count requests that are about to be sent: of claims being posted and, unless admitted, of all older claims.

        Stops counting once the shard no longer fits.
        """
        bought_shards = set(self.ledger.shards_in(keys.BATCHES))
        posted_shards = set(self.ledger.shards_in(keys.POSTS))
        request_count = 0
        for other in self.ledger.view().in_flight:
            if other == shard or other in bought_shards:
                continue
            goes_first = not self.rule.admitted and other < shard
            if goes_first or (other in posted_shards and self._posting(other)):
                request_count += self.ledger.claim(other).total
                if not fits(usable, request_count):
                    break
        return request_count

    def _posting(self, shard: Shard) -> bool:
        """Return whether a claim's POST may be in progress: sent recently, and not refused."""
        last = self.ledger.posts(shard)[-1]
        if last.refusal is not None:
            return False
        longest_seconds = self.timing.send + self.timing.answer
        post_age = self.now() - last.post.at
        return post_age < timedelta(seconds=longest_seconds)
