"""Submit: turn a claim into a batch, once.

Returns at once with the batch, or with what to wait for; the caller waits without a worker and calls again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

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
from nightbatch.ids import Shard
from nightbatch.ledger import cancellation
from nightbatch.ledger.facts import Maybe, Refusal, Sending
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.shard_facts import ShardFacts
from nightbatch.ports import Batch, Batches
from nightbatch.submit import orphans
from nightbatch.submit.body import SendLimit, body_of
from nightbatch.submit.bought import record_bought
from nightbatch.submit.decide import (
    Clock,
    Done,
    Released,
    Search,
    Send,
    SubmitTiming,
    Wait,
    decide,
    next_look,
    over,
)
from nightbatch.submit.outcome import Late, Later, Outcome, Submitted
from nightbatch.submit.patience import Patience
from nightbatch.submit.refused import RefusedPost, WhyNotSent
from nightbatch.submit.release import (
    NO_BATCH,
    give_up,
    land_as_lost,
    release,
    take_right,
)
from nightbatch.submit.room.queue import QueuePosition
from nightbatch.submit.room.turns import NO_LIMIT, QueueLimit, QueueRoom


@dataclass(frozen=True)
class Submitter:
    """Turns claims into batches."""

    ledger: Ledger
    api: Batches
    now: Clock
    timing: SubmitTiming
    rule: QueueLimit = NO_LIMIT
    late: Late | None = None
    give_up_seconds: float | None = None
    """For how long a run that has bought nothing retries temporary refusals; None: as long as any other."""
    deadline: datetime | None = None
    """When the run stops buying, for messages that say until when something is tried."""

    def submit(self, shard: Shard) -> Outcome:
        """Do the next step for a claim. Raises AccountStopped, or NotSent for a final refusal."""
        outcome: Outcome | None = None
        while outcome is None:
            # New facts for each step: others may have sent, bought or released the claim meanwhile.
            facts = self.ledger.shard(shard)
            outcome = self._step(facts)
        return outcome

    def _step(self, facts: ShardFacts) -> Outcome | None:
        """Do what the facts of a claim ask for; None: they have changed."""
        match decide(facts, self.now()):
            case Done(bought):
                return Submitted(bought.batch)
            case Released(why):
                land_as_lost(facts, why)
                return Submitted(NO_BATCH)
            case Send() | Wait() if self.late is not None:
                return self._too_late(facts, self.late)
            case Wait(until, why):
                patience = self._patience(facts)
                words = patience.words(why, self.now())
                return Later(until, words)
            case Search(sending):
                return self._search(facts, sending)
            case Send(number):
                return self._send(facts, number)

    def _send(self, facts: ShardFacts, number: int) -> Submitted | Later | None:
        """Send one POST if this process gets the right to it; None: the facts have changed.

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
            if not take_right(facts, number, self.now):
                return None
        reach("post written")
        # Read after the post fact: who cancels the run from now on sees that POST.
        canceled = cancellation.read(self.ledger, facts.claim.buyer)
        if canceled is not None:
            refusal = Refusal(at=self.now(), why=canceled.words, released=True)
            give_up(facts, number, refusal)
            return None
        return self._post(facts, number, limit)

    def _post(
        self, facts: ShardFacts, number: int, limit: SendLimit
    ) -> Submitted | Later | None:
        """Send the POST to which this process has the right, and record what became of it."""
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
        return record_bought(facts, batch)

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
            return record_bought(facts, result.mine, how="adopted")
        if result.waiting:
            search_again = next_look(sending, now, self.timing)
            return _wait_for_end(result.waiting, search_again)
        return self._not_found(facts, sending, now)

    def _not_found(
        self, facts: ShardFacts, sending: Sending, now: datetime
    ) -> Later | None:
        """Search again while a batch may still come to be listed; then record that the POST bought nothing."""
        certain_at = over(sending, self.timing)
        if certain_at > now:
            search_again = next_look(sending, now, self.timing)
            why = "a create may have bought a batch: looking for it"
            until = min(search_again, certain_at)
            return Later(until, why)
        why = "no batch of it was found"
        refusal = Refusal(at=now, why=why)
        self.ledger.write_refusal(facts.shard, sending.number, refusal)
        reach("orphan ruled out")
        return None

    def _search_later(
        self, sending: Sending, now: datetime, error: ApiUnavailable
    ) -> Later:
        """Search again when the API may be readable; raise its error once patience is over."""
        patience_end = sending.post.at + timedelta(seconds=self.timing.patience)
        if now > patience_end:
            raise error
        asked_until = now + timedelta(seconds=error.retry_after or 0)
        search_again = next_look(sending, now, self.timing)
        why = f"looking for an orphan: {error} It is looked for until {patience_end:%Y-%m-%d %H:%M} UTC."
        return Later(max(asked_until, search_again), why)

    def _too_late(self, facts: ShardFacts, late: Late) -> Late | None:
        """Give up a claim of the run itself that is not bought; leave the claims of other runs to them."""
        if not late.owned:
            return late
        release(facts, self.now, late.why)
        return None

    def _no_room(self, facts: ShardFacts) -> Later | None:
        """Return what to wait for if the account's queue has no room. Raises ApiUnavailable."""
        place = self._room.place_to_wait(facts)
        if place is None:
            return None
        return self._wait_in_line(place)

    def _wait_in_line(self, place: QueuePosition) -> Later:
        """Wait for room in the account's queue; an admitted shard pauses first."""
        pause_seconds = self.timing.look if self.rule.admitted else 0.0
        until = self._after(pause_seconds)
        why = f"no room: the queue may hold {place.cap} requests"
        return Later(until, why, place=place, holds_all=True)

    def _queue_unread(
        self, facts: ShardFacts, number: int, error: ApiUnavailable
    ) -> Later | None:
        """Record a look at the queue that failed as a POST that was refused: so facts say since when it is tried."""
        if not take_right(facts, number, self.now):
            return None
        not_sent = NotSent(
            f"the queue could not be read: {error}", retry_after=error.retry_after
        )
        return self._refused(facts, number, not_sent)

    def _unknown(self, facts: ShardFacts, number: int, error: ApiError) -> Later:
        """Record that this sender has ended and does not know what it bought."""
        reach("answer lost")
        maybe = Maybe(at=self.now(), why=str(error))
        self.ledger.write_maybe(facts.shard, number, maybe)
        return Later(self._after(self.timing.look), maybe.why)

    def _after(self, seconds: float) -> datetime:
        """Return the time in N seconds."""
        return self.now() + timedelta(seconds=seconds)

    def _refused(
        self, facts: ShardFacts, number: int, error: WhyNotSent
    ) -> Later | None:
        refused = RefusedPost(facts, number, self._room, self._patience(facts))
        return refused.record(error, self.now)

    def _patience(self, facts: ShardFacts) -> Patience:
        return Patience(facts, self.timing, self.give_up_seconds, self.deadline)

    @property
    def _room(self) -> QueueRoom:
        return QueueRoom(self.ledger, self.api, self.now, self.timing, self.rule)


def _wait_for_end(waiting: Sequence[Batch], search_again: datetime) -> Later:
    """Wait until one of the batches that may be what was bought has ended, so that it can be identified."""
    running_ids = tuple(batch.id for batch in waiting if not batch.ended)
    why = f"one of {len(waiting)} batches may be what was bought: waiting for an end"
    return Later(search_again, why, running_ids)
