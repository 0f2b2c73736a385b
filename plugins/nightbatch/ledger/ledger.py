"""The ledger: reads and creates the facts of one state. Claims are a log: number n+1 is written by who has seen n.

So two planners that act on the same view collide on one key, and the one that comes second looks again.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.columnar import parquet
from nightbatch.columnar.id_lookup import ID
from nightbatch.errors import Absent, NoBucket
from nightbatch.ids import BatchId, Shard, Snapshot
from nightbatch.ledger import keys
from nightbatch.ledger.facts import (
    METADATA,
    Awaited,
    Bought,
    Claim,
    Gone,
    LandedFact,
    Maybe,
    Owner,
    Post,
    Refusal,
    Seen,
    Sending,
)
from nightbatch.ledger.facts_store import FactsStore
from nightbatch.ports import Store
from nightbatch.spec.run import Run

MARK = b'{"format":1}'
"""What the mark of a state holds: it never changes, so that creating it again is no conflict."""


def is_mark(body: bytes) -> bool:
    """Tell the mark of a state from a file of the same name that another program has written."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return (
        isinstance(content, dict)
        and content.keys() == {"format"}
        and isinstance(content["format"], int)
    )


@dataclass(frozen=True)
class View:
    """Which shards are claimed, and which of them have landed."""

    claimed: list[Shard]
    landed: list[Shard]

    @property
    def in_flight(self) -> list[Shard]:
        """Claimed and not landed."""
        landed = set(self.landed)
        return [shard for shard in self.claimed if shard not in landed]

    @property
    def next(self) -> Shard:
        """The number that a new claim must take."""
        return keys.shard(int(self.claimed[-1]) + 1 if self.claimed else 1)


class Ledger:
    """The facts below one state URL."""

    def __init__(self, store: Store, lease_seconds: float = 300) -> None:
        """Open a ledger; `lease_seconds`: how long a planner that has died holds off the others."""
        self.store: Store = FactsStore(store)
        self.lease_seconds = lease_seconds

    @property
    def is_there(self) -> bool:
        """Tell whether the URL is a state: by its mark or, where version 0.1 has made it, by a claim or a snapshot.

        The mark is listed before it is read: a store may answer "denied" for what is not there.
        """
        if any(self.store.list(keys.MARK)) and is_mark(self.store.get(keys.MARK)):
            return True
        return any(
            True
            for prefix in (keys.CLAIMS, keys.SNAPSHOTS)
            for _ in self.store.list(prefix)
        )

    def view(self) -> View:
        """List claims and landed shards, oldest first."""
        return View(list(self._shards(keys.CLAIMS)), list(self._shards(keys.LANDED)))

    def run(self, snapshot: Snapshot) -> Run:
        """Read what a snapshot says of itself. Raises Absent once it has expired."""
        try:
            return Run.from_json(self.store.get(keys.run(snapshot)))
        except NoBucket:
            raise
        except Absent as error:
            raise Absent(
                f"{error} The snapshot has expired: clear the run from `prepare` on, or run it anew."
            ) from None

    def claim(self, shard: Shard) -> Claim:
        """Read what a claim says of itself."""
        return Claim.from_json(
            parquet.metadata(self.store, keys.claim(shard), METADATA)
        )

    def claimed(self, shard: Shard) -> pa.Table:
        """Read which requests a claim holds: `id`, and the `part` where each is staged."""
        return parquet.table(self.store, keys.claim(shard))

    def write_claim(self, shard: Shard, claim: Claim, requests: pa.Table) -> bool:
        """Create a claim; False if another planner was first."""
        out = io.BytesIO()
        schema = CLAIM.with_metadata({METADATA: claim.to_json()})
        pq.write_table(
            requests.cast(CLAIM).replace_schema_metadata(schema.metadata),
            out,
            compression="zstd",
        )
        return self.store.create(keys.claim(shard), out.getvalue())

    def posts(self, shard: Shard) -> list[Sending]:
        """Read what is known of the sendings of a claim, in their order."""
        names = {entry.key for entry in self.store.list(f"{keys.POSTS}{shard}/")}
        numbers = sorted(
            {
                int(name.rsplit("/", 1)[1].split(".")[0])
                for name in names
                if keys.is_post(name)
            }
        )
        return [self._sending(shard, number, names) for number in numbers]

    def write_post(self, shard: Shard, number: int, post: Post) -> bool:
        """Take the right to send; False if somebody else has it."""
        return self.store.create(keys.post(shard, number), post.to_json())

    def write_refusal(self, shard: Shard, number: int, refusal: Refusal) -> bool:
        """Note that a sending bought nothing; False if somebody noted that first, in other words."""
        return self.store.create(keys.refusal(shard, number), refusal.to_json())

    def write_maybe(self, shard: Shard, number: int, maybe: Maybe) -> None:
        """Note that the sender of a POST has ended without knowing what it bought."""
        self.store.create(keys.maybe(shard, number), maybe.to_json())

    def batch(self, shard: Shard, claim: Claim | None = None) -> Bought | None:
        """Read which batch a claim became, if that is known. `claim`: what it says, if that was read already."""
        try:
            return Bought.from_json(self.store.get(keys.batch(shard)))
        except Absent:
            claim = claim or self.claim(shard)
        if claim.batch is None:
            return None
        return Bought(
            batch=claim.batch,
            created_at=claim.created_at,
            total=claim.total,
            how="found late",
        )

    def write_batch(self, shard: Shard, bought: Bought) -> Bought:
        """Note which batch a claim became; return what is noted, which may be another."""
        known = self.store.create(keys.batch(shard), bought.to_json())
        return bought if known else Bought.from_json(self.store.get(keys.batch(shard)))

    def owners(self) -> frozenset[BatchId]:
        """Name the batches that are some claim's."""
        return frozenset(
            keys.batch_of(entry.key) for entry in self.store.list(keys.OWNERS)
        )

    def owner(self, batch: BatchId) -> Shard:
        """Read whose a batch is."""
        return Owner.from_json(self.store.get(keys.owner(batch))).shard

    def write_owner(self, batch: BatchId, shard: Shard) -> bool:
        """Make a batch a claim's; False if it is another's. The same again is True."""
        return self.store.create(keys.owner(batch), Owner(shard).to_json())

    def write_second(self, claim: Claim, requests: pa.Table, batch: BatchId) -> Shard:
        """Claim anew what a batch holds that was bought beside the claim's own, so that it can land as well.

        Doing it again finds the claim of the first time.
        """
        second = replace(claim, token=f"second {batch}", batch=batch)
        while True:
            view = self.view()
            if known := [
                shard for shard in view.claimed if self.claim(shard).batch == batch
            ]:
                return known[0]
            if self.write_claim(view.next, second, requests):
                return view.next

    def seen(self, batch: BatchId) -> Seen | None:
        """Read what was seen in the results of a possible orphan."""
        try:
            return Seen.from_json(self.store.get(keys.seen(batch)))
        except Absent:
            return None

    def write_seen(self, batch: BatchId, seen: Seen) -> None:
        """Note what was seen in the results of a possible orphan."""
        self.store.create(keys.seen(batch), seen.to_json())

    def first_gone(self, batch: BatchId, gone: Gone) -> Gone:
        """Note since when the results of a possible orphan are gone; return what was noted first."""
        known = self.store.create(keys.gone(batch), gone.to_json())
        return gone if known else Gone.from_json(self.store.get(keys.gone(batch)))

    def landed(self, shard: Shard) -> LandedFact | None:
        """Read what a landed shard says of itself; None before it has landed."""
        try:
            return LandedFact.from_json(
                parquet.metadata(self.store, keys.landed(shard), METADATA)
            )
        except Absent:
            return None

    def answered_before(self, run: Run) -> bool:
        """Tell whether what this run asks was ever answered under this state."""
        return any(self.store.list(keys.question(run.question)))

    def write_question(self, run: Run) -> None:
        """Note that what this run asks has been answered."""
        self.store.create(keys.question(run.question), b"{}")

    def awaited(self, name: str) -> Awaited:
        """Read which shards an attempt waits for, by the fact's name."""
        return Awaited.from_json(self.store.get(keys.awaited(name)))

    def write_awaited(self, awaited: Awaited) -> str:
        """Note which shards an attempt waits for; return the fact's name. The same attempt again is the same fact."""
        self.store.create(keys.awaited(awaited.name), awaited.to_json())
        return awaited.name

    def request_parts(self, run: Run) -> Iterable[str]:
        """Name the files in which a run's requests are staged."""
        return (keys.requests(run.snapshot, part) for part in range(run.parts))

    def _shards(self, prefix: str) -> Iterator[Shard]:
        return (keys.shard_of(entry.key) for entry in self.store.list(prefix))

    def _sending(self, shard: Shard, number: int, names: Collection[str]) -> Sending:
        get, no, maybe = (
            self.store.get,
            keys.refusal(shard, number),
            keys.maybe(shard, number),
        )
        return Sending(
            number,
            Post.from_json(get(keys.post(shard, number))),
            Refusal.from_json(get(no)) if no in names else None,
            Maybe.from_json(get(maybe)) if maybe in names else None,
        )


CLAIM = pa.schema(
    [pa.field("id", ID, nullable=False), pa.field("part", pa.int32(), nullable=False)]
)
