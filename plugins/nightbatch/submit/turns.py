"""Room in the account's queue for one shard: who sends takes his turn, and counts what others are about to send.

The turn is a lease, held from the look at the queue until the post fact is written: whoever comes next counts that
post, so two senders never take the same room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from nightbatch.ids import Shard
from nightbatch.ledger import keys, lease
from nightbatch.ledger.facts import Claim
from nightbatch.ledger.ledger import Ledger
from nightbatch.messages.listing import listed
from nightbatch.ports import Batches
from nightbatch.submit.decide import Timing
from nightbatch.submit.queue import LIFETIME, Place, fits, queued

TURN_SECONDS = 60.0
UNLIMITED = 1_000_000_000


@dataclass(frozen=True)
class Rule:
    """What the account's queue may hold; `admitted`: the line has let this shard through, so it waits for no other."""

    cap: int | None = None
    admitted: bool = False


FREE = Rule()


@dataclass(frozen=True)
class Room:
    """Where room is looked for: one ledger, one account, and by which rule."""

    ledger: Ledger
    api: Batches
    now: Callable[[], datetime]
    timing: Timing
    rule: Rule

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let one sender after the other look for room, where room is limited."""
        if self.rule.cap is None:
            yield
            return
        with lease.hold(
            self.ledger.store,
            self.now,
            holder=uuid4().hex,
            seconds=TURN_SECONDS,
            of=keys.TURNS,
        ):
            yield

    def place(self, shard: Shard, claim: Claim) -> Place:
        """Give a shard its place among all that wait: older claims first, whatever run or target they are of."""
        claimed_at = claim.created_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")
        cap = UNLIMITED if self.rule.cap is None else self.rule.cap
        return Place(f"{claimed_at} {self.ledger.store.url}{shard}", claim.total, cap)

    def wanting(self, shard: Shard, claim: Claim) -> Place | None:
        """Return the place in which a shard must wait; None if there is room. Raises ApiUnavailable.

        Who did not stand in line goes at once into the first half of the queue only: the line is not seen from here,
        and a stream of small shards must not take the room that a large one of another target waits for.
        """
        if self.rule.cap is None:
            return None
        mine = self.place(shard, claim)
        free = mine if self.rule.admitted else replace(mine, cap=mine.cap // 2)
        used = self._coming(
            shard, free
        )  # before the listing, so that nothing falls between
        if fits(free, used):
            used += queued(listed(self.api, self.now() - LIFETIME))
        return None if fits(free, used) else mine

    def _coming(self, shard: Shard, free: Place) -> int:
        """Count what is about to be sent: claims that are being posted and, if this one must queue, all older ones."""
        store = self.ledger.store
        bought = {keys.shard_of(entry.key) for entry in store.list(keys.BATCHES)}
        posted = {keys.shard_of(entry.key) for entry in store.list(keys.POSTS)}
        total = 0
        for other in self.ledger.view().in_flight:
            ahead = not self.rule.admitted and other < shard
            if (
                other in bought
                or other == shard
                or not (ahead or (other in posted and self._posting(other)))
            ):
                continue
            total += self.ledger.claim(other).total
            if not fits(free, total):
                break
        return total

    def _posting(self, shard: Shard) -> bool:
        """Tell whether a claim's POST may be under way: sent not long ago, and not refused."""
        last = self.ledger.posts(shard)[-1]
        recent = timedelta(seconds=self.timing.fuse + self.timing.answer)
        return last.refusal is None and self.now() - last.post.at < recent
