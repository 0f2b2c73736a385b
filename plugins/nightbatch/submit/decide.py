"""Buying exactly once: the next step of a claim, derived from its facts and the clock.

A POST is sent by the process that created its post fact, and only within a time limit. The limit is checked before
the end of the body, which is sent separately, so a sender that slept too long sends half a body and buys nothing.
A post with neither a batch nor a refusal is an orphan: it may have bought. We search for it in the batches that the API
lists; the next POST may be sent only after the grace period, and only if no listed batch can be the orphan's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nightbatch.environment import SUBMIT_PREFIX, seconds
from nightbatch.ids import BatchId
from nightbatch.ledger.facts import Bought, Claim, Refusal, Sending
from nightbatch.ledger.shard_facts import ShardFacts
from nightbatch.ports import Batch

Clock = Callable[[], datetime]
"""Returns the present time."""
RESUMED_AFTER = timedelta(minutes=10)
"""A POST that comes so much later than it could have been sent is the first one of a new try of a person."""
LOOK_CEILING = timedelta(minutes=15)
SENDER_AT_WORK = "its sender may still be at work"


@dataclass(frozen=True)
class SubmitTiming:
    """How long each step may take, in seconds."""

    send: float = 900
    """From the post fact to the last byte of the body."""
    answer: float = 1000
    """From the last byte to the answer: the SDK's own limit is 600, and TCP sends a lost byte again for 925."""
    settle: float = 60
    """From the sender's end until its batch is certainly listed, or certainly never will be."""
    clock_slack: float = 330
    """How much the clocks of the API and the workers may differ: a little over five minutes."""
    look: float = 15
    """Until the second search for an orphan; later pauses are longer."""
    retry: float = 30
    """Until a POST that was refused for the moment is sent again, where the API does not say when."""
    patience: float = 86_400
    """How long temporary refusals are retried before one is raised."""
    lease: float = 300
    """How long a planner that has died may still block the others."""

    @property
    def longest_sending(self) -> timedelta:
        """From the post fact until its sender has ended at the latest."""
        return timedelta(seconds=self.send + self.answer)

    @property
    def grace(self) -> timedelta:
        """From the sender's end until a batch that it bought is listed at the latest, by any clock."""
        return timedelta(seconds=self.settle + self.clock_slack)


def submit_timing() -> SubmitTiming:
    """Read the times of a deployment: NIGHTBATCH_SEND_SECONDS and the like override the defaults."""
    return seconds(SubmitTiming, SUBMIT_PREFIX)


@dataclass(frozen=True)
class Send:
    """Send the POST of this number."""

    number: int


@dataclass(frozen=True)
class Search:
    """Search for the batch that this POST may have bought."""

    sending: Sending


@dataclass(frozen=True)
class Wait:
    """Do nothing before this time."""

    until: datetime
    why: str


@dataclass(frozen=True)
class Done:
    """The claim has its batch."""

    bought: Bought


@dataclass(frozen=True)
class Released:
    """The claim is given up: its requests land as lost, and may be claimed again."""

    why: str


Decision = Send | Search | Wait | Done | Released


def decide(facts: ShardFacts, now: datetime) -> Decision:
    """Decide the next step for a claim by its facts.

    Its POSTs are read before its batch: a POST that is still open must not hide a batch that is recorded meanwhile.
    """
    sendings = facts.sendings
    return next_step(facts.bought, sendings, now)


def next_step(
    bought: Bought | None, sent: Sequence[Sending], now: datetime
) -> Decision:
    """Decide the next step for a claim by its batch and its POSTs."""
    if bought is not None:
        return Done(bought)
    for sending in sent:
        refusal = sending.refusal
        if refusal is not None and refusal.released:
            return Released(refusal.why)
    if not sent:
        return Send(1)
    last = sent[-1]
    if last.refusal is None:
        return Search(last)
    retry_at = last.refusal.retry_at
    if retry_at is not None and retry_at > now:
        return Wait(retry_at, last.refusal.why)
    return Send(last.number + 1)


def over(sending: Sending, timing: SubmitTiming) -> datetime:
    """Return when a POST can no longer have bought an unlisted batch: earlier if its sender has noted its end."""
    sender_end = sending.post.at + timing.longest_sending
    if sending.maybe is not None:
        sender_end = min(sender_end, sending.maybe.at)
    return sender_end + timing.grace


def sender_state(sending: Sending) -> str:
    """Say what is known of the sender of a POST in doubt."""
    if sending.maybe is None:
        return SENDER_AT_WORK
    return sending.maybe.why.rstrip(".")


def since(sending: Sending, timing: SubmitTiming) -> datetime:
    """Return the earliest creation time of a listed batch that this POST can have bought."""
    return sending.post.at - timedelta(seconds=timing.clock_slack)


def candidates(
    listed: Iterable[Batch],
    claim: Claim,
    sending: Sending,
    taken: Collection[BatchId],
    timing: SubmitTiming,
) -> list[Batch]:
    """Return the listed batches that a POST may have bought: of its time and total, and of no other claim."""
    earliest = since(sending, timing)
    latest = over(sending, timing) + timedelta(seconds=timing.clock_slack)
    return [
        batch
        for batch in listed
        if earliest <= batch.created_at <= latest
        and batch.total == claim.total
        and batch.id not in taken
    ]


def next_look(sending: Sending, now: datetime, timing: SubmitTiming) -> datetime:
    """Return when to search again: soon at first, then less and less often."""
    shortest_pause = timedelta(seconds=timing.look)
    return now + max(shortest_pause, growing_pause(sending.post.at, now))


def growing_pause(started_at: datetime, now: datetime) -> timedelta:
    """Return half of the time that has passed since the start of a wait, at most LOOK_CEILING.

    It does not count tries, since no fact says how many there were.
    """
    return min((now - started_at) / 2, LOOK_CEILING)


def repeated(sent: Sequence[Sending], refusal: Refusal) -> bool:
    """Return whether a refusal that allows one more try has come again."""
    last_refusal = sent[-1].refusal if sent else None
    return refusal.once and last_refusal is not None and last_refusal.once


def tried_since(sent: Sequence[Sending], now: datetime) -> datetime:
    """Return when the POSTs began of which the present one is the last; those before a long pause do not count."""
    started_at = now
    next_post_at = now
    for sending in reversed(sent):
        refusal = sending.refusal
        could_resume_at = sending.post.at
        if refusal is not None:
            could_resume_at = refusal.retry_at or refusal.at
        if next_post_at - could_resume_at > RESUMED_AFTER:
            break
        started_at = sending.post.at
        next_post_at = sending.post.at
    return started_at


def patience_ends(
    sent: Sequence[Sending], now: datetime, timing: SubmitTiming
) -> datetime:
    """Return after what time temporary refusals are not retried any more, however often somebody took it up again."""
    return first_sent_at(sent, now) + timedelta(seconds=timing.patience)


def first_sent_at(sent: Sequence[Sending], now: datetime) -> datetime:
    """Return when the first POST was sent; now if none was."""
    return sent[0].post.at if sent else now
