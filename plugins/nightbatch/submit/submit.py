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
    Timing,
    Wait,
    decide,
    next_look,
    over,
    repeated,
    waited_out,
)
from nightbatch.submit.queue import Place
from nightbatch.submit.release import give_up, land_as_lost, release
from nightbatch.submit.turns import FREE, Room, Rule

RETRY_AFTER = 30.0


@dataclass(frozen=True)
class Submitted:
    """The claim's batch; empty if the claim was given up, and there is nothing to wait for.

    `warning` tells of a second purchase that came to light.
    """

    batch: BatchId
    warning: str | None = None


@dataclass(frozen=True)
class Later:
    """Nothing can be done before `until`, or before one of these batches has ended.

    `place`: after `until`, there must be room in the account's queue too. `holds_all`: the API or the queue takes no
    other batch either before that. `at_latest`: when to go on even where there is no room.
    """

    until: datetime
    why: str
    batches: tuple[BatchId, ...] = ()
    place: Place | None = None
    holds_all: bool = False
    at_latest: datetime | None = None


@dataclass(frozen=True)
class Late:
    """The run's deadline has passed: nothing more is bought. `owned`: the claim is the run's own."""

    owned: bool
    why: str = "the deadline had passed before it was sent."


@dataclass(frozen=True)
class Buyer:
    """Who turns claims into batches, with what it needs for that."""

    ledger: Ledger
    api: Batches
    now: Callable[[], datetime]
    timing: Timing
    rule: Rule = FREE
    late: Late | None = None

    def submit(self, shard: Shard) -> Submitted | Later | Late:
        """Do the next step for a claim, by what its facts say. Raises AccountStopped, or NotSent for a final no."""
        claim = self.ledger.claim(shard)
        outcome: Submitted | Later | Late | None = None
        while outcome is None:
            sent = self.ledger.posts(shard)
            match decide(self.ledger.batch(shard, claim), sent, self.now()):
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
        """Send one POST if the right to it can be had; None: look at the facts again."""
        with self._room.turn():
            if (later := self._no_room(shard, claim)) is not None:
                return later
            fuse = Fuse.light(self.now, self.timing.fuse)
            if not self.ledger.write_post(
                shard, number, Post(at=self.now(), token=uuid4().hex)
            ):
                return None
        reach("post written")
        try:
            batch = self.api.create(body_of(shard, claim, self.ledger, fuse))
        except (NotSent, AccountStopped, Incomplete) as error:
            return self._refused(shard, sent, number, error)
        except StoreError as error:  # while the body was made: nothing was sent
            return self._refused(
                shard, sent, number, NotSent(f"the body was not sent whole: {error}")
            )
        except MaybeSent as error:
            return self._unknown(shard, number, error)
        reach("batch created")
        return self._note(shard, claim, batch)

    def search(
        self, shard: Shard, claim: Claim, sending: Sending
    ) -> Submitted | Later | None:
        """Look for the batch that a sending may have bought; None: the facts have changed."""
        now = self.now()
        try:
            found = orphans.look(
                shard,
                claim,
                sending,
                self.ledger,
                orphans.Eye(self.api, now, self.timing),
            )
        except ApiUnavailable as error:
            if now - sending.post.at > timedelta(seconds=self.timing.patience):
                raise
            asked = now + timedelta(seconds=error.retry_after or 0)
            return Later(
                max(asked, next_look(sending, now, self.timing)),
                f"looking for an orphan: {error}",
            )
        reach("orphan looked for")
        if found.mine is not None:
            return self._note(shard, claim, found.mine, how="adopted")
        if found.waiting:
            ids = tuple(batch.id for batch in found.waiting if not batch.ended)
            why = f"one of {len(found.waiting)} batches may be what was bought: waiting for an end"
            return Later(next_look(sending, now, self.timing), why, ids)
        if (end := over(sending, self.timing)) > now:
            why = "a create may have bought a batch: looking for it"
            return Later(min(next_look(sending, now, self.timing), end), why)
        self.ledger.write_refusal(
            shard, sending.number, Refusal(at=now, why="no batch of it was found")
        )
        reach("orphan ruled out")
        return None

    def _too_late(self, shard: Shard, late: Late) -> Late | None:
        """Give up what the run itself has claimed and not bought; leave what others have claimed to them."""
        if not late.owned:
            return late
        release(shard, self.ledger, self.now, late.why)
        return None

    def _no_room(self, shard: Shard, claim: Claim) -> Later | None:
        """Say what to wait for where the account's queue has no room; one whose turn came in vain waits a little."""
        try:
            place = self._room.wanting(shard, claim)
        except ApiUnavailable as error:
            pause = error.retry_after or self.timing.look
            return Later(
                self.now() + timedelta(seconds=pause),
                f"the queue could not be read: {error}",
                holds_all=True,
            )
        if place is None:
            return None
        again = timedelta(seconds=self.timing.look if self.rule.admitted else 0)
        return Later(
            self.now() + again,
            f"no room: the queue may hold {place.cap} requests",
            place=place,
            holds_all=True,
        )

    def _unknown(self, shard: Shard, number: int, error: ApiError) -> Later:
        """Note that this sender has ended, not knowing what it bought."""
        reach("answer lost")
        self.ledger.write_maybe(shard, number, Maybe(at=self.now(), why=str(error)))
        return Later(self.now() + timedelta(seconds=self.timing.look), str(error))

    def _refused(
        self,
        shard: Shard,
        sent: list[Sending],
        number: int,
        error: NotSent | AccountStopped | Incomplete,
    ) -> Later | None:
        """Note a definite no: wait and send again, give the claim up, or raise what only a human can mend."""
        reach("create refused")
        now, why = self.now(), str(error)
        if isinstance(error, AccountStopped):
            self.ledger.write_refusal(shard, number, Refusal(at=now, why=why))
            raise error
        if isinstance(error, Incomplete):
            give_up(shard, number, self.ledger, Refusal(at=now, why=why, released=True))
            return None
        retry_at = now + timedelta(seconds=error.retry_after or RETRY_AFTER)
        if error.full:
            return self._full(shard, sent, number, Refusal(at=now, why=why), retry_at)
        refusal = Refusal(at=now, why=why, retry_at=retry_at, once=error.once)
        if not error.retryable or repeated(sent, refusal):
            give_up(shard, number, self.ledger, replace(refusal, released=True))
            raise NotSent(why, retryable=False)
        self.ledger.write_refusal(shard, number, refusal)
        reach("refusal written")
        if waited_out(sent, now, self.timing):
            raise NotSent(why, retryable=False)
        return Later(retry_at, why, holds_all=True)

    def _full(
        self,
        shard: Shard,
        sent: list[Sending],
        number: int,
        no: Refusal,
        retry_at: datetime,
    ) -> Later:
        """Wait for room in the queue, which may take hours; the first of the line tries again, ever more rarely."""
        self.ledger.write_refusal(shard, number, no)
        reach("refusal written")
        if waited_out(sent, no.at, self.timing):
            raise NotSent(no.why, retryable=False)
        waited = no.at - sent[0].post.at if sent else timedelta()
        again = max(retry_at, no.at + min(waited / 2, LOOK_CEILING))
        place = self._room.place(shard, self.ledger.claim(shard))
        return Later(
            no.at, no.why, place=replace(place, full_until=again), holds_all=True
        )

    @property
    def _room(self) -> Room:
        return Room(self.ledger, self.api, self.now, self.timing, self.rule)

    def _note(
        self, shard: Shard, claim: Claim, batch: Batch, how: str = "created"
    ) -> Submitted | None:
        """Create the facts of a purchase; where the claim became another batch meanwhile, both stay."""
        bought = Bought(
            batch=batch.id, created_at=batch.created_at, total=claim.total, how=how
        )
        try:
            self.ledger.write_owner(batch.id, shard)
            reach("owner written")
            known = self.ledger.write_batch(shard, bought)
        except StoreError as error:
            raise StoreError(
                f"batch {batch.id} was bought for shard {shard}, but not noted: {error}"
            ) from None
        reach("batch written")
        if known.batch == batch.id:
            return None
        second = self.ledger.write_second(claim, self.ledger.claimed(shard), batch.id)
        told = f"shard {shard} was bought twice, as {known.batch} and {batch.id}; the second became claim {second}."
        return Submitted(known.batch, warning=told)
