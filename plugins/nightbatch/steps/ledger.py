"""The ledger: reads and creates the facts of one state. Claims are a log: number n+1 is written by who has seen n.

So two planners that act on the same view collide on one key, and the one that comes second looks again.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.core import keys
from nightbatch.core.errors import Absent
from nightbatch.core.facts import METADATA, Bought, Claim, LandedFact, Post, Refusal
from nightbatch.core.ids import Shard, Snapshot
from nightbatch.core.ports import Store
from nightbatch.core.run import Run
from nightbatch.core.staging import CLAIM
from nightbatch.steps import sheets


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


@dataclass(frozen=True)
class Posts:
    """What is known of the sendings of one claim: number, who sent it, and the definite no, if there was one."""

    sent: list[tuple[int, Post, Refusal | None]]

    @property
    def next(self) -> int:
        """The number of the next POST."""
        return self.sent[-1][0] + 1 if self.sent else 1


class Ledger:
    """The facts below one state URL."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def view(self) -> View:
        """List claims and landed shards, oldest first."""
        return View(list(self._shards(keys.CLAIMS)), list(self._shards(keys.LANDED)))

    def run(self, snapshot: Snapshot) -> Run:
        """Read what a snapshot says of itself."""
        return Run.from_json(self.store.get(keys.run(snapshot)))

    def claim(self, shard: Shard) -> Claim:
        """Read what a claim says of itself."""
        return Claim.from_json(sheets.metadata(self.store, keys.claim(shard), METADATA))

    def claimed(self, shard: Shard) -> pa.Table:
        """Read which requests a claim holds: `id`, and the `part` where each is staged."""
        return sheets.table(self.store, keys.claim(shard))

    def write_claim(self, shard: Shard, claim: Claim, requests: pa.Table) -> bool:
        """Create a claim; False if another planner was first."""
        out = io.BytesIO()
        schema = CLAIM.with_metadata({METADATA: claim.to_json()})
        pq.write_table(requests.cast(CLAIM).replace_schema_metadata(schema.metadata), out, compression="zstd")
        return self.store.create(keys.claim(shard), out.getvalue())

    def posts(self, shard: Shard) -> Posts:
        """Read what is known of the sendings of a claim."""
        names = [entry.key for entry in self.store.list(f"{keys.POSTS}{shard}/")]
        numbers = sorted(int(name.rsplit("/", 1)[1].split(".")[0]) for name in names if ".no." not in name)
        return Posts([(number, self._post(shard, number), self._refusal(shard, number, names)) for number in numbers])

    def write_post(self, shard: Shard, number: int, post: Post) -> bool:
        """Take the right to send; False if somebody else has it."""
        return self.store.create(keys.post(shard, number), post.to_json())

    def write_refusal(self, shard: Shard, number: int, refusal: Refusal) -> None:
        """Note that a sending bought nothing."""
        self.store.create(keys.refusal(shard, number), refusal.to_json())

    def batch(self, shard: Shard) -> Bought | None:
        """Read which batch a claim became, if that is known."""
        try:
            return Bought.from_json(self.store.get(keys.batch(shard)))
        except Absent:
            return None

    def write_batch(self, shard: Shard, bought: Bought) -> bool:
        """Note which batch a claim became; False if another is noted."""
        return self.store.create(keys.batch(shard), bought.to_json())

    def landed(self, shard: Shard) -> LandedFact | None:
        """Read what a landed shard says of itself; None before it has landed."""
        try:
            return LandedFact.from_json(sheets.metadata(self.store, keys.landed(shard), METADATA))
        except Absent:
            return None

    def request_parts(self, run: Run) -> Iterable[str]:
        """Name the files in which a run's requests are staged."""
        return (keys.requests(run.snapshot, part) for part in range(run.parts))

    def _shards(self, prefix: str) -> Iterator[Shard]:
        return (keys.shard_of(entry.key) for entry in self.store.list(prefix))

    def _post(self, shard: Shard, number: int) -> Post:
        return Post.from_json(self.store.get(keys.post(shard, number)))

    def _refusal(self, shard: Shard, number: int, names: list[str]) -> Refusal | None:
        key = keys.refusal(shard, number)
        return Refusal.from_json(self.store.get(key)) if key in names else None
