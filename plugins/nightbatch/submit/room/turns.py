"""Room in the account's queue for one shard: senders take turns, and each counts what others are about to send.

A turn is a lease, held from the look at the queue until the post fact is written. The next sender counts that post, so
two senders never take the same room.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
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

    def place(
        self, facts: ShardFacts, full_until: datetime | None = None
    ) -> QueuePosition:
        """Return a shard's place among all that wait: older claims first, over all runs and targets."""
        order = self._order(facts)
        cap = UNLIMITED if self.rule.cap is None else self.rule.cap
        return QueuePosition(order, facts.claim.total, cap, full_until)

    def _order(self, facts: ShardFacts) -> str:
        """Return a text that sorts claims by their age, and those of the same moment by their state and number."""
        created_at = facts.claim.created_at.astimezone(UTC)
        claim_time = created_at.strftime("%Y%m%dT%H%M%S.%f")
        return f"{claim_time} {self.ledger.store.url}{facts.shard}"

    def place_to_wait(self, facts: ShardFacts) -> QueuePosition | None:
        """Return the place in which a shard must wait; None if there is room. Raises ApiUnavailable."""
        if self.rule.cap is None:
            return None
        place = self.place(facts)
        usable = self._usable(place)
        used = self._used(facts.shard, usable)
        if fits(usable, used):
            return None
        return place

    def _used(self, shard: Shard, usable: QueuePosition) -> int:
        """Count the requests in the queue and those that are sent before a shard, until it no longer fits."""
        # Counted before the listing, so that no batch is missed between the two.
        used = self._about_to_be_sent(shard, usable)
        if not fits(usable, used):
            return used
        return used + self._queued()

    def _queued(self) -> int:
        """Count the requests in the queue, of all batches that can be running."""
        listed_since = self.now() - LIFETIME
        batches = listed(self.api, listed_since)
        return queued(batches)

    def _usable(self, place: QueuePosition) -> QueuePosition:
        """Halve the cap of a shard that has not waited.

        The line cannot be read here, and many small shards must not take the room that a large shard of another target
        waits for.
        """
        if self.rule.admitted:
            return place
        return replace(place, cap=place.cap // 2)

    def _about_to_be_sent(self, shard: Shard, usable: QueuePosition) -> int:
        """Count the requests that are sent before this shard. Stops counting once the shard no longer fits."""
        request_count = 0
        for other in self._sent_before(shard):
            request_count += self.ledger.claim(other).total
            if not fits(usable, request_count):
                break
        return request_count

    def _sent_before(self, shard: Shard) -> Iterator[Shard]:
        """Name the claims without a batch that are being posted and, unless admitted, all older ones."""
        bought_shards = set(self.ledger.shards_in(keys.BATCHES))
        posted_shards = set(self.ledger.shards_in(keys.POSTS))
        for other in self.ledger.view().in_flight:
            if other == shard or other in bought_shards:
                continue
            goes_first = not self.rule.admitted and other < shard
            if goes_first or (other in posted_shards and self._posting(other)):
                yield other

    def _posting(self, shard: Shard) -> bool:
        """Return whether a claim's POST may be in progress: sent recently, and not refused."""
        last = self.ledger.posts(shard)[-1]
        sender_end = last.post.at + self.timing.longest_sending
        return last.refusal is None and self.now() < sender_end
