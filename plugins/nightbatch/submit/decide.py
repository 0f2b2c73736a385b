"""Buying exactly once, as a decision: what the facts of a claim and the clock say must happen next.

A POST is sent by whoever created its post fact, and only until its fuse has burned down: the fuse is looked at before
the end of the body, which goes out by itself, so that a sender which slept past it sends an incomplete body and buys
nothing. A post that has neither a batch nor a definite no is an orphan: it may have bought. It is looked for among the
batches that the API lists; only if none can be it, once the grace is over, may the next POST be sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nightbatch.ids import BatchId
from nightbatch.ledger.facts import Bought, Claim, Refusal, Sending
from nightbatch.ports import Batch

LOOK_CEILING = timedelta(minutes=15)


@dataclass(frozen=True)
class Timing:
    """How long things may take; all in seconds."""

    fuse: float = 900
    """From the post fact to the last byte of the body."""
    answer: float = 1000
    """From the last byte to the answer: the SDK's own limit is 600, and TCP sends a lost byte again for 925."""
    settle: float = 60
    """From the sender's end until what it sent is surely created and listed, or never will be."""
    clock_slack: float = 330
    """By how much the API's clock and those of the workers may differ: five minutes and some."""
    look: float = 15
    """Until the second look for an orphan; the pauses grow from there."""
    patience: float = 86_400
    """For how long noes that may pass are waited out before one is raised."""
    lease: float = 300
    """For how long a planner may hold off the others after it has died."""


@dataclass(frozen=True)
class Send:
    """Send the POST of this number."""

    number: int


@dataclass(frozen=True)
class Search:
    """Look for the batch that this sending may have bought."""

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
    """The claim is given up: its requests land as lost, and are free to be claimed again."""

    why: str


Decision = Send | Search | Wait | Done | Released


def decide(bought: Bought | None, sent: Sequence[Sending], now: datetime) -> Decision:
    """Say what must happen next for a claim."""
    if bought is not None:
        return Done(bought)
    for sending in sent:
        if sending.refusal is not None and sending.refusal.released:
            return Released(sending.refusal.why)
    if not sent:
        return Send(1)
    last = sent[-1]
    if last.refusal is None:
        return Search(last)
    if last.refusal.retry_at is not None and last.refusal.retry_at > now:
        return Wait(last.refusal.retry_at, last.refusal.why)
    return Send(last.number + 1)


def over(sending: Sending, timing: Timing) -> datetime:
    """Say when a sending can have bought nothing any more that is not listed: sooner if its sender told its end."""
    latest = sending.post.at + timedelta(seconds=timing.fuse + timing.answer)
    ended = latest if sending.maybe is None else min(latest, sending.maybe.at)
    return ended + timedelta(seconds=timing.settle + timing.clock_slack)


def since(sending: Sending, timing: Timing) -> datetime:
    """Say how old a listed batch may be and still be what this sending bought."""
    return sending.post.at - timedelta(seconds=timing.clock_slack)


def candidates(
    listed: Iterable[Batch],
    claim: Claim,
    sending: Sending,
    taken: Collection[BatchId],
    timing: Timing,
) -> list[Batch]:
    """Name the listed batches that a sending may have bought: of its time, of its total, and no other claim's."""
    first, last = (
        since(sending, timing),
        over(sending, timing) + timedelta(seconds=timing.clock_slack),
    )
    return [
        b
        for b in listed
        if first <= b.created_at <= last
        and b.total == claim.total
        and b.id not in taken
    ]


def next_look(sending: Sending, now: datetime, timing: Timing) -> datetime:
    """Say when to look again: soon at first, then ever more rarely."""
    age = now - sending.post.at
    return now + max(timedelta(seconds=timing.look), min(age / 2, LOOK_CEILING))


def repeated(sent: Sequence[Sending], refusal: Refusal) -> bool:
    """Tell whether a no that is worth one more try has come again."""
    last = sent[-1].refusal if sent else None
    return refusal.once and last is not None and last.once


def waited_out(sent: Sequence[Sending], now: datetime, timing: Timing) -> bool:
    """Tell whether noes that may pass have gone on for too long."""
    return bool(sent) and now - sent[0].post.at > timedelta(seconds=timing.patience)
