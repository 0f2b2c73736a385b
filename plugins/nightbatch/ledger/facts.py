"""The facts of a ledger as values: what a claim, a post and a batch say. All statuses are derived from them."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple, Self

import msgspec

from nightbatch.ids import BatchId, Shard, Snapshot

METADATA = b"nightbatch"


@dataclass(frozen=True)
class Fact:
    """Something that is written once, as JSON. A kind of fact can be read once it has learned to (`learn`)."""

    _decoder: ClassVar[msgspec.json.Decoder[Any]]

    def to_json(self) -> bytes:
        """Encode; equal facts give equal bytes."""
        return msgspec.json.encode(asdict(self), order="sorted")

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Decode; fields that a later version added are ignored."""
        fact: Self = cls._decoder.decode(raw)
        return fact

    @classmethod
    def learn(cls) -> None:
        """Make the decoder of this kind of fact, when its module is imported.

        At a first reading, a thread that reads a fact while another one learns its class would end the process with a
        segmentation fault (msgspec 0.22, where a fact holds another).
        """
        cls._decoder = msgspec.json.Decoder(cls)


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
    """Set where the shard was bought before it was claimed: a second purchase that was noticed later."""
    at_most_usd: str | None = None
    how: str = ""
    model: str = ""
    question: str = ""
    """how: how the estimate was made. question: the id of all of a request but the row."""


@dataclass(frozen=True)
class Post(Fact):
    """This sender, and no other, may send the POST of this number."""

    at: datetime
    token: str


@dataclass(frozen=True)
class Maybe(Fact):
    """The sender of this POST has stopped waiting, and does not know whether it bought a batch."""

    at: datetime
    why: str


@dataclass(frozen=True)
class Refusal(Fact):
    """The POST of this number bought nothing.

    `once`: a refusal of the kind that is worth one more try. `released`: the claim is closed and never posted again.
    """

    at: datetime
    why: str
    retry_at: datetime | None = None
    once: bool = False
    released: bool = False


class Sending(NamedTuple):
    """One POST: its number, who may send it, and how it ended, if that is known."""

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
    """This batch belongs to that claim: one batch, one claim."""

    shard: Shard


@dataclass(frozen=True)
class Seen(Fact):
    """Some custom_ids from the results of a batch that may belong to an orphan; none: they do not have our form."""

    custom_ids: list[str]


@dataclass(frozen=True)
class Gone(Fact):
    """Since when the results of a batch that may belong to an orphan cannot be read."""

    at: datetime


@dataclass(frozen=True)
class LandedFact(Fact):
    """What a landed file says about itself, in its own metadata."""

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
    requests that cost something, and those not at batch price. longest: the most output tokens of one answer."""
    errors: dict[str, int] = field(default_factory=dict)
    odd: dict[str, int] = field(default_factory=dict)
    server_tools: dict[str, int] = field(default_factory=dict)
    unknown_usage: bool = False
    """errors: how often the most common ones were reported, by type and field. odd: lines that were ignored.
    server_tools: uses of tools that the API bills by use. unknown_usage: a result reported impossible usage."""


@dataclass(frozen=True)
class Canceled(Fact):
    """A person has canceled this run: nothing more is bought for it."""

    buyer: str
    at: datetime
    by: str

    @property
    def words(self) -> str:
        """Say who canceled the run, and when."""
        at_utc = self.at.astimezone(UTC)
        return f"canceled by {self.by} at {at_utc:%Y-%m-%d %H:%M} UTC"


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


for fact_class in Fact.__subclasses__():
    fact_class.learn()
