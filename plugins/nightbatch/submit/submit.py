"""Submit: turn a claim into a batch, once.

Returns at once with the batch, or with what to wait for; the caller waits without a worker and calls again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from nightbatch.errors import (
    AccountStopped,
    ApiError,
    ApiUnavailable,
    Incomplete,
    MaybeSent,
    NotSent,
    StoreError,
)
from nightbatch.failpoints import reach
from nightbatch.ids import BatchId, Shard
from nightbatch.ledger.facts import Bought, Claim, Maybe, Post, Refusal, Sending
from nightbatch.ledger.ledger import Ledger
from nightbatch.ports import Batch, Batches
from nightbatch.submit import orphans
from nightbatch.submit.body import Fuse, body_of
from nightbatch.submit.decide import (
    LOOK_CEILING,
    Done,
    Released,
    Search,
    Send,
    SubmitTiming,
    Wait,
    decide,
    next_look,
    over,
    repeated,
    waited_out,
)
from nightbatch.submit.queue import QueuePosition
from nightbatch.submit.release import give_up, land_as_lost, release
from nightbatch.submit.turns import NO_LIMIT, QueueLimit, QueueRoom

RETRY_AFTER = 30.0


@dataclass(frozen=True)
class Submitted:
    """The claim's batch; empty if the claim was given up, and there is nothing to wait for.

    `warning` reports a second purchase of the same claim.
    """

    batch: BatchId
    warning: str | None = None


@dataclass(frozen=True)
class Later:
    """Nothing can be done before `until`, or before one of these batches has ended.

    `place`: after `until`, there must also be room in the account's queue. `holds_all`: until then, no other batch
    can be sent either. `at_latest`: when to continue even if there is no room.
    """

    until: datetime
    why: str
    batches: tuple[BatchId, ...] = ()
    place: QueuePosition | None = None
    holds_all: bool = False
    at_latest: datetime | None = None


@dataclass(frozen=True)
class Late:
    """The run's deadline has passed: nothing more is bought. `owned`: the claim is the run's own."""

    owned: bool
    why: str = "the deadline had passed before it was sent."


@dataclass(frozen=True)
class Submitter:
    """Turns claims into batches."""

    ledger: Ledger
    api: Batches
    now: Callable[[], datetime]
    timing: SubmitTiming
    rule: QueueLimit = NO_LIMIT
    late: Late | None = None

    def submit(self, shard: Shard) -> Submitted | Later | Late:
        """Do the next step for a claim, by its facts. Raises AccountStopped, or NotSent for a final refusal."""
        claim = self.ledger.claim(shard)
        outcome: Submitted | Later | Late | None = None
        while outcome is None:
            sent = self.ledger.posts(shard)
            bought = self.ledger.batch(shard, claim)
            match decide(bought, sent, self.now()):
                case Done(bought):
                    outcome = Submitted(bought.batch)
                case Released(why):
                    land_as_lost(shard, self.ledger, why)
                    outcome = Submitted(BatchId(""))
                case Send() | Wait() if self.late is not None:
                    outcome = self._too_late(shard, self.late)
                case Wait(until, why):
                    outcome = Later(until, why)
                case Search(sending):
                    outcome = self.search(shard, claim, sending)
                case Send(number):
                    outcome = self.send(shard, claim, sent, number)
        return outcome

    def send(
        self, shard: Shard, claim: Claim, sent: list[Sending], number: int
    ) -> Submitted | Later | None:
        """Send one POST if this process gets the right to it; None: read the facts again."""
        with self._room.turn():
            wait_for_room = self._no_room(shard, claim)
            if wait_for_room is not None:
                return wait_for_room
            fuse = Fuse.light(self.now, self.timing.fuse)
            post = Post(at=self.now(), token=uuid4().hex)
            if not self.ledger.write_post(shard, number, post):
                return None
        reach("post written")
        try:
            body = body_of(shard, claim, self.ledger, fuse)
            batch = self.api.create(body)
        except (NotSent, AccountStopped, Incomplete) as error:
            return self._refused(shard, sent, number, error)
        except StoreError as error:  # while the body was built: nothing was sent
            not_sent = NotSent(f"the body was not sent whole: {error}")
            return self._refused(shard, sent, number, not_sent)
        except MaybeSent as error:
            return self._unknown(shard, number, error)
        reach("batch created")
        return self._record(shard, claim, batch)

    def search(
        self, shard: Shard, claim: Claim, sending: Sending
    ) -> Submitted | Later | None:
        """Search for the batch that a POST may have bought; None: the facts have changed."""
        now = self.now()
        context = orphans.SearchContext(self.api, now, self.timing)
        try:
            result = orphans.look_for(shard, claim, sending, self.ledger, context)
        except ApiUnavailable as error:
            return self._search_later(sending, now, error)
        reach("orphan looked for")
        if result.mine is not None:
            return self._record(shard, claim, result.mine, how="adopted")
        search_again = next_look(sending, now, self.timing)
        if result.waiting:
            running_ids = tuple(batch.id for batch in result.waiting if not batch.ended)
            why = f"one of {len(result.waiting)} batches may be what was bought: waiting for an end"
            return Later(search_again, why, running_ids)
        certain_at = over(sending, self.timing)
        if certain_at > now:
            why = "a create may have bought a batch: looking for it"
            return Later(min(search_again, certain_at), why)
        refusal = Refusal(at=now, why="no batch of it was found")
        self.ledger.write_refusal(shard, sending.number, refusal)
        reach("orphan ruled out")
        return None

    def _search_later(
        self, sending: Sending, now: datetime, error: ApiUnavailable
    ) -> Later:
        """Search again when the API may be readable; raise its error once patience is over."""
        search_time = now - sending.post.at
        if search_time > timedelta(seconds=self.timing.patience):
            raise error
        asked_until = now + timedelta(seconds=error.retry_after or 0)
        search_again = next_look(sending, now, self.timing)
        return Later(max(asked_until, search_again), f"looking for an orphan: {error}")

    def _too_late(self, shard: Shard, late: Late) -> Late | None:
        """Give up a claim of the run itself that is not bought; leave the claims of other runs to them."""
        if not late.owned:
            return late
        release(shard, self.ledger, self.now, late.why)
        return None

    def _no_room(self, shard: Shard, claim: Claim) -> Later | None:
        """Return what to wait for if the account's queue has no room; an admitted shard then pauses first."""
        try:
            place = self._room.wanting(shard, claim)
        except ApiUnavailable as error:
            until = self._after(error.retry_after or self.timing.look)
            why = f"the queue could not be read: {error}"
            return Later(until, why, holds_all=True)
        if place is None:
            return None
        until = self._after(self.timing.look if self.rule.admitted else 0)
        why = f"no room: the queue may hold {place.cap} requests"
        return Later(until, why, place=place, holds_all=True)

    def _unknown(self, shard: Shard, number: int, error: ApiError) -> Later:
        """Record that this sender has ended and does not know what it bought."""
        reach("answer lost")
        why = str(error)
        maybe = Maybe(at=self.now(), why=why)
        self.ledger.write_maybe(shard, number, maybe)
        return Later(self._after(self.timing.look), why)

    def _after(self, seconds: float) -> datetime:
        """Return the time in N seconds."""
        return self.now() + timedelta(seconds=seconds)

    def _refused(
        self,
        shard: Shard,
        sent: list[Sending],
        number: int,
        error: NotSent | AccountStopped | Incomplete,
    ) -> Later | None:
        """Record a refusal: then send again later, give the claim up, or raise what only a person can fix."""
        reach("create refused")
        refusal = Refusal(at=self.now(), why=str(error))
        if isinstance(error, AccountStopped):
            self.ledger.write_refusal(shard, number, refusal)
            raise error
        if isinstance(error, Incomplete):
            give_up(shard, number, self.ledger, replace(refusal, released=True))
            return None
        retry_seconds = error.retry_after or RETRY_AFTER
        retry_at = refusal.at + timedelta(seconds=retry_seconds)
        if error.full:
            return self._full(shard, sent, number, refusal, retry_at)
        retryable = replace(refusal, retry_at=retry_at, once=error.once)
        if not error.retryable or repeated(sent, retryable):
            give_up(shard, number, self.ledger, replace(retryable, released=True))
            raise NotSent(refusal.why, retryable=False)
        self._write_temporary_refusal(shard, sent, number, retryable)
        return Later(retry_at, refusal.why, holds_all=True)

    def _full(
        self,
        shard: Shard,
        sent: list[Sending],
        number: int,
        refusal: Refusal,
        retry_at: datetime,
    ) -> Later:
        """Wait for room in the queue, possibly for hours; the first in line tries again, less and less often."""
        self._write_temporary_refusal(shard, sent, number, refusal)
        refused_at = refusal.at
        waited = refused_at - sent[0].post.at if sent else timedelta()
        growing_pause = min(waited / 2, LOOK_CEILING)
        full_until = max(retry_at, refused_at + growing_pause)
        place = self._room.place(shard, self.ledger.claim(shard))
        full_place = replace(place, full_until=full_until)
        return Later(refused_at, refusal.why, place=full_place, holds_all=True)

    def _write_temporary_refusal(
        self, shard: Shard, sent: list[Sending], number: int, refusal: Refusal
    ) -> None:
        """Record a refusal after which the POST may be sent again; raise NotSent once patience is over."""
        self.ledger.write_refusal(shard, number, refusal)
        reach("refusal written")
        if waited_out(sent, refusal.at, self.timing):
            raise NotSent(refusal.why, retryable=False)

    @property
    def _room(self) -> QueueRoom:
        return QueueRoom(self.ledger, self.api, self.now, self.timing, self.rule)

    def _record(
        self, shard: Shard, claim: Claim, batch: Batch, how: str = "created"
    ) -> Submitted | None:
        """Create the facts of a purchase; if the claim has got another batch meanwhile, keep both."""
        bought = Bought(
            batch=batch.id, created_at=batch.created_at, total=claim.total, how=how
        )
        try:
            self.ledger.write_owner(batch.id, shard)
            reach("owner written")
            recorded = self.ledger.write_batch(shard, bought)
        except StoreError as error:
            raise StoreError(
                f"batch {batch.id} was bought for shard {shard}, but not noted: {error}"
            ) from None
        reach("batch written")
        if recorded.batch == batch.id:
            return None
        claimed_requests = self.ledger.claimed(shard)
        second_claim = self.ledger.write_second(claim, claimed_requests, batch.id)
        warning = (
            f"shard {shard} was bought twice, as {recorded.batch} and {batch.id}; "
            f"the second became claim {second_claim}."
        )
        return Submitted(recorded.batch, warning=warning)
