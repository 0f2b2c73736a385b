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
from nightbatch.ledger import cancellation
from nightbatch.ledger.facts import Bought, Maybe, Post, Refusal, Sending
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.shard_facts import ShardFacts
from nightbatch.ports import Batch, Batches
from nightbatch.submit import orphans
from nightbatch.submit.body import SendLimit, body_of
from nightbatch.submit.decide import (
    Done,
    Released,
    Search,
    Send,
    SubmitTiming,
    Wait,
    decide,
    growing_pause,
    next_look,
    over,
    patience_ends,
    repeated,
)
from nightbatch.submit.patience import Patience
from nightbatch.submit.release import give_up, land_as_lost, release
from nightbatch.submit.room.queue import QueuePosition
from nightbatch.submit.room.turns import NO_LIMIT, QueueLimit, QueueRoom

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
    give_up_seconds: float | None = None
    """For how long a run that has bought nothing retries temporary refusals; None: as long as any other."""
    deadline: datetime | None = None
    """When the run stops buying, for messages that say until when something is tried."""

    def submit(self, shard: Shard) -> Submitted | Later | Late:
        """Do the next step for a claim. Raises AccountStopped, or NotSent for a final refusal."""
        outcome: Submitted | Later | Late | None = None
        while outcome is None:
            # New facts for each step: others may have sent, bought or released the claim meanwhile.
            facts = self.ledger.shard(shard)
            match decide(facts, self.now()):
                case Done(bought):
                    outcome = Submitted(bought.batch)
                case Released(why):
                    land_as_lost(facts, why)
                    outcome = Submitted(BatchId(""))
                case Send() | Wait() if self.late is not None:
                    outcome = self._too_late(facts, self.late)
                case Wait(until, why):
                    words = self._patience(facts).words(why, self.now())
                    outcome = Later(until, words)
                case Search(sending):
                    outcome = self._search(facts, sending)
                case Send(number):
                    outcome = self._send(facts, number)
        return outcome

    def _send(self, facts: ShardFacts, number: int) -> Submitted | Later | None:
        """Send one POST if this process gets the right to it; None: read the facts again.

        The facts need not be read once more: another sender would have taken the post fact of this number.
        """
        with self._room.turn():
            try:
                wait_for_room = self._no_room(facts)
            except ApiUnavailable as error:
                return self._queue_unread(facts, number, error)
            if wait_for_room is not None:
                return wait_for_room
            limit = SendLimit.starting(self.now, self.timing.send)
            post = Post(at=self.now(), token=uuid4().hex)
            if not self.ledger.write_post(facts.shard, number, post):
                return None
        reach("post written")
        # Read after the post fact: who cancels the run from now on sees that POST.
        canceled = cancellation.read(self.ledger, facts.claim.buyer)
        if canceled is not None:
            refusal = Refusal(at=self.now(), why=canceled.words, released=True)
            give_up(facts, number, refusal)
            return None
        try:
            body = body_of(facts, limit)
            batch = self.api.create(body)
        except (NotSent, AccountStopped, Incomplete) as error:
            return self._refused(facts, number, error)
        except StoreError as error:  # while the body was built: nothing was sent
            not_sent = NotSent(f"the body was not sent whole: {error}")
            return self._refused(facts, number, not_sent)
        except MaybeSent as error:
            return self._unknown(facts, number, error)
        reach("batch created")
        return self._record(facts, batch)

    def _search(self, facts: ShardFacts, sending: Sending) -> Submitted | Later | None:
        """Search for the batch that a POST may have bought; None: the facts have changed."""
        now = self.now()
        context = orphans.SearchContext(self.api, now, self.timing)
        try:
            result = orphans.look_for(facts, sending, context)
        except ApiUnavailable as error:
            return self._search_later(sending, now, error)
        reach("orphan looked for")
        if result.mine is not None:
            return self._record(facts, result.mine, how="adopted")
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
        self.ledger.write_refusal(facts.shard, sending.number, refusal)
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
        patience_end = sending.post.at + timedelta(seconds=self.timing.patience)
        why = f"looking for an orphan: {error} It is looked for until {patience_end:%Y-%m-%d %H:%M} UTC."
        return Later(max(asked_until, search_again), why)

    def _too_late(self, facts: ShardFacts, late: Late) -> Late | None:
        """Give up a claim of the run itself that is not bought; leave the claims of other runs to them."""
        if not late.owned:
            return late
        release(facts, self.now, late.why)
        return None

    def _no_room(self, facts: ShardFacts) -> Later | None:
        """Return what to wait for if the account's queue has no room; an admitted shard then pauses first.

        Raises ApiUnavailable.
        """
        place = self._room.place_to_wait(facts)
        if place is None:
            return None
        until = self._after(self.timing.look if self.rule.admitted else 0)
        why = f"no room: the queue may hold {place.cap} requests"
        return Later(until, why, place=place, holds_all=True)

    def _queue_unread(
        self, facts: ShardFacts, number: int, error: ApiUnavailable
    ) -> Later | None:
        """Record a look at the queue that failed as a POST that was refused: so facts say since when it is tried."""
        post = Post(at=self.now(), token=uuid4().hex)
        if not self.ledger.write_post(facts.shard, number, post):
            return None
        not_sent = NotSent(
            f"the queue could not be read: {error}", retry_after=error.retry_after
        )
        return self._refused(facts, number, not_sent)

    def _unknown(self, facts: ShardFacts, number: int, error: ApiError) -> Later:
        """Record that this sender has ended and does not know what it bought."""
        reach("answer lost")
        why = str(error)
        maybe = Maybe(at=self.now(), why=why)
        self.ledger.write_maybe(facts.shard, number, maybe)
        return Later(self._after(self.timing.look), why)

    def _after(self, seconds: float) -> datetime:
        """Return the time in N seconds."""
        return self.now() + timedelta(seconds=seconds)

    def _refused(
        self,
        facts: ShardFacts,
        number: int,
        error: NotSent | AccountStopped | Incomplete,
    ) -> Later | None:
        """Record a refusal: then send again later, give the claim up, or raise what only a person can fix."""
        reach("create refused")
        refusal = Refusal(at=self.now(), why=str(error))
        if isinstance(error, AccountStopped):
            self.ledger.write_refusal(facts.shard, number, refusal)
            raise error
        if isinstance(error, Incomplete):
            give_up(facts, number, replace(refusal, released=True))
            return None
        retry_seconds = error.retry_after or RETRY_AFTER
        retry_at = refusal.at + timedelta(seconds=retry_seconds)
        if error.full:
            return self._full(facts, number, refusal, retry_at)
        retryable = replace(refusal, retry_at=retry_at, once=error.once)
        if not error.retryable or repeated(facts.sendings, retryable):
            give_up(facts, number, replace(retryable, released=True))
            raise NotSent(refusal.why, retryable=False)
        self._write_temporary_refusal(facts, number, retryable)
        patience = self._patience(facts)
        patience.check(refusal)
        why = patience.words(refusal.why, refusal.at)
        return Later(retry_at, why, holds_all=True)

    def _patience(self, facts: ShardFacts) -> Patience:
        return Patience(facts, self.timing, self.give_up_seconds, self.deadline)

    def _full(
        self, facts: ShardFacts, number: int, refusal: Refusal, retry_at: datetime
    ) -> Later:
        """Wait for room in the queue, possibly for hours; the first in line tries again, less and less often."""
        self._write_temporary_refusal(facts, number, refusal)
        refused_at = refusal.at
        sent = facts.sendings
        first_sent_at = sent[0].post.at if sent else refused_at
        full_until = max(
            retry_at, refused_at + growing_pause(first_sent_at, refused_at)
        )
        place = self._room.place(facts)
        full_place = replace(place, full_until=full_until)
        return Later(refused_at, refusal.why, place=full_place, holds_all=True)

    def _write_temporary_refusal(
        self, facts: ShardFacts, number: int, refusal: Refusal
    ) -> None:
        """Record a refusal after which the POST may be sent again; raise NotSent once patience is over."""
        self.ledger.write_refusal(facts.shard, number, refusal)
        reach("refusal written")
        if refusal.at > patience_ends(facts.sendings, refusal.at, self.timing):
            raise NotSent(refusal.why, retryable=False)

    @property
    def _room(self) -> QueueRoom:
        return QueueRoom(self.ledger, self.api, self.now, self.timing, self.rule)

    def _record(
        self, facts: ShardFacts, batch: Batch, how: str = "created"
    ) -> Submitted:
        """Create the facts of a purchase; if the claim has got another batch meanwhile, keep both."""
        shard = facts.shard
        bought = Bought(
            batch=batch.id,
            created_at=batch.created_at,
            total=facts.claim.total,
            how=how,
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
            return Submitted(batch.id)
        second_claim = self.ledger.write_second(facts.claim, facts.requests(), batch.id)
        warning = (
            f"shard {shard} was bought twice, as {recorded.batch} and {batch.id}; "
            f"the second became claim {second_claim}."
        )
        return Submitted(recorded.batch, warning=warning)
