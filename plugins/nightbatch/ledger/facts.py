"""The facts of a ledger as values: what a claim, a post and a batch say. All statuses are derived from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple, Self

import msgspec

from nightbatch.ids import BatchId, Shard, Snapshot

METADATA = b"nightbatch"


@dataclass(frozen=True)
class Fact:
    """Something that was written once, as JSON."""

    def to_json(self) -> bytes:
        """Encode; equal facts give equal bytes."""
        return msgspec.json.encode(asdict(self), order="sorted")

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Decode; fields that a later version added are passed over."""
        return msgspec.convert(_known(cls, msgspec.json.decode(raw)), cls)


@dataclass(frozen=True)
class Claim(Fact):
    """This shard is being bought, by this run, for this partition."""

    snapshot: Snapshot
    buyer: str
    scope: str
    target: str
    partition: str
    attempt: int
    total: int
    size: int
    created_at: datetime
    token: str
    estimated_usd: str | None = None
    batch: BatchId | None = None
    """Set where the shard was bought before it was claimed: a second purchase that came to light late."""
    at_most_usd: str | None = None
    how: str = ""
    model: str = ""
    question: str = ""
    """how: how the estimate was found. question: names what is asked, whatever the row."""


@dataclass(frozen=True)
class Post(Fact):
    """This sender, and no other, may send the POST of this number."""

    at: datetime
    token: str


@dataclass(frozen=True)
class Maybe(Fact):
    """The sender of this POST has stopped waiting, and does not know what it bought."""

    at: datetime
    why: str


@dataclass(frozen=True)
class Refusal(Fact):
    """The POST of this number bought nothing.

    `once`: a no of the kind that is worth one more try. `released`: the claim is given up, and never posted again.
    """

    at: datetime
    why: str
    retry_at: datetime | None = None
    once: bool = False
    released: bool = False


class Sending(NamedTuple):
    """What is known of one POST: its number, who may send it, and how it ended, if that is known."""

    number: int
    post: Post
    refusal: Refusal | None = None
    maybe: Maybe | None = None


@dataclass(frozen=True)
class Bought(Fact):
    """The claim became this batch."""

    batch: BatchId
    created_at: datetime
    total: int
    how: str = "created"


@dataclass(frozen=True)
class Owner(Fact):
    """This batch is that claim's: one batch, one claim."""

    shard: Shard


@dataclass(frozen=True)
class Seen(Fact):
    """Some custom_ids from the results of a batch that might have been an orphan; none: they are not of our kind."""

    custom_ids: list[str]


@dataclass(frozen=True)
class Gone(Fact):
    """Since when the results of a batch that might have been an orphan cannot be had."""

    at: datetime


@dataclass(frozen=True)
class LandedFact(Fact):
    """What a landed file says of itself, in its own metadata."""

    shard: Shard
    batch: BatchId
    claim: Claim
    statuses: dict[str, int]
    cost_usd: str | None
    lines: int = 0
    account: str | None = None
    tokens: dict[str, int] = field(default_factory=dict)
    created_at: datetime | None = None
    ended_at: datetime | None = None
    """created_at, ended_at: of the batch, by the API's clock."""
    standard_usd: str | None = None
    uncached_usd: str | None = None
    billed: int = 0
    full_price: int = 0
    longest: int = 0
    """standard_usd, uncached_usd: what it would have cost outside a batch, and without the cache. billed, full_price:
    requests that cost something, and those not at batch price. longest: most tokens of one answer."""
    errors: dict[str, int] = field(default_factory=dict)
    odd: dict[str, int] = field(default_factory=dict)
    server_tools: dict[str, int] = field(default_factory=dict)
    unknown_usage: bool = False
    """errors: how often the commonest were reported, by type and field; odd: lines that were passed over.
    server_tools: uses of tools that the API bills by use. unknown_usage: a result reported usage that cannot be."""


@dataclass(frozen=True)
class Awaited(Fact):
    """The shards that one attempt of a run waits for: those it has claimed, and those of other runs that it joins."""

    snapshot: Snapshot
    buyer: str
    attempt: int
    own: list[Shard]
    joined: list[Shard]

    @property
    def shards(self) -> list[Shard]:
        """All of them, oldest first."""
        return sorted([*self.own, *self.joined])

    @property
    def name(self) -> str:
        """Name the fact by what it holds, so that the same attempt planned again is the same fact."""
        return hashlib.sha256(self.to_json()).hexdigest()[:16]


@dataclass(frozen=True)
class PlannedShard:
    """One shard that an attempt waits for; `joined`: another run has claimed it."""

    shard: Shard
    attempt: int
    requests: int
    joined: bool = False


def _known(cls: type, given: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(cls)}
    return {name: value for name, value in given.items() if name in names}
