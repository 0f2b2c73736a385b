"""Buying exactly once, as a decision: what the facts of a claim and the clock say must happen next.

A POST is sent by whoever created its post fact, before its fuse burns down; the fuse is looked at before every chunk
of the body, so that a sender which slept past it sends an incomplete body, and buys nothing. A post without a batch
and without a definite no is an orphan: it may have bought. It is looked for among the batches that the API lists, and
only if none can be it, once the grace is over, may the next POST be sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nightbatch.core.facts import Bought, Claim, Post, Refusal
from nightbatch.core.ids import BatchId
from nightbatch.core.ports import Batch


@dataclass(frozen=True)
class Timing:
    """How long things may take; all in seconds."""

    fuse: float = 900
    """From the post fact to the last byte of the body."""
    answer: float = 600
    """From the last byte to the answer; the SDK's own time limit."""
    settle: float = 60
    """Until a created batch is surely listed."""
    clock_slack: float = 600
    """By how much the API's clock and those of the workers may differ."""
    look: float = 15
    """Between two looks for an orphan."""

    @property
    def grace(self) -> timedelta:
        """From the post fact until it can have bought nothing any more."""
        return timedelta(seconds=self.fuse + self.answer + self.settle)


@dataclass(frozen=True)
class Send:
    """Send the POST of this number."""

    number: int


@dataclass(frozen=True)
class Search:
    """Look for the batch that the POST of this number may have bought."""

    number: int
    post: Post


@dataclass(frozen=True)
class Wait:
    """Do nothing before this time."""

    until: datetime


@dataclass(frozen=True)
class Done:
    """The claim has its batch."""

    bought: Bought


Decision = Send | Search | Wait | Done


def decide(bought: Bought | None, sent: Sequence[tuple[int, Post, Refusal | None]], now: datetime) -> Decision:
    """Say what must happen next for a claim."""
    if bought is not None:
        return Done(bought)
    if not sent:
        return Send(1)
    number, post, refusal = sent[-1]
    if refusal is None:
        return Search(number, post)
    if refusal.retry_at is not None and refusal.retry_at > now:
        return Wait(refusal.retry_at)
    return Send(number + 1)


def candidates(
    listed: Sequence[Batch], claim: Claim, post: Post, taken: frozenset[BatchId], timing: Timing
) -> list[Batch]:
    """Name the listed batches that the post may have bought: of its time, of its total, and nobody's yet."""
    since = post.at - timedelta(seconds=timing.clock_slack)
    return [b for b in listed if b.created_at >= since and b.total == claim.total and b.id not in taken]
