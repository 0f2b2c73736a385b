"""The ledger: reads and creates the facts of one state.

Claims are a log: number n+1 is written by a planner that has read n. So two planners that act on the same view collide
on one key, and the second one reads the log again.
"""

from __future__ import annotations

import io
from dataclasses import replace

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
from nightbatch.ledger.sendings import sendings
from nightbatch.ledger.shard_facts import ShardFacts
from nightbatch.ledger.state.mark import has_mark
from nightbatch.ledger.view import LedgerView
from nightbatch.ports import Store
from nightbatch.spec.run import Run

CLAIM = pa.schema(
    [pa.field("id", ID, nullable=False), pa.field("part", pa.int32(), nullable=False)]
)
"""The rows of a claim: its requests, and the part where each is staged."""


class Ledger:
    """The facts below one state URL."""

    def __init__(self, store: Store, lease_seconds: float = 300) -> None:
        """Open a ledger; `lease_seconds`: how long others must wait for a planner that has died."""
        self.store: Store = FactsStore(store)
        self.lease_seconds = lease_seconds
        # What is written once and needed often: a claim by every cap, place in the queue and landing.
        self._claims = dict[Shard, Claim]()
        self._runs = dict[Snapshot, Run]()

    @property
    def is_there(self) -> bool:
        """Tell whether the URL is a state: by its mark or, if version 0.1 created it, by a claim or a snapshot.

        Raises SettingsError if a newer version of nightbatch has written it in another form.
        """
        if has_mark(self.store):
            return True
        has_claim = any(self.store.list(keys.CLAIMS))
        return has_claim or any(self.store.list(keys.SNAPSHOTS))

    def require_readable(self) -> None:
        """Raise SettingsError if a newer version of nightbatch has written the state in another form."""
        has_mark(self.store)

    def view(self) -> LedgerView:
        """List claims and landed shards, oldest first."""
        claimed_shards = self.shards_in(keys.CLAIMS)
        landed_shards = self.shards_in(keys.LANDED)
        return LedgerView(claimed_shards, landed_shards)

    def shards_in(self, folder: str) -> list[Shard]:
        """List the shards that have a fact in a folder, such as `keys.BATCHES`, oldest first; one for each fact."""
        return [keys.shard_of(entry.key) for entry in self.store.list(folder)]

    def run(self, snapshot: Snapshot) -> Run:
        """Read the run of a snapshot, once. Raises Absent once it has expired."""
        if snapshot not in self._runs:
            self._runs[snapshot] = self._read_run(snapshot)
        return self._runs[snapshot]

    def _read_run(self, snapshot: Snapshot) -> Run:
        try:
            return Run.from_json(self.store.get(keys.run(snapshot)))
        except NoBucket:
            raise
        except Absent as error:
            raise Absent(
                f"{error} The snapshot has expired: clear the run from `prepare` on, or run it anew."
            ) from None

    def claim(self, shard: Shard) -> Claim:
        """Read the fact of a claim, without its requests; once, since it never changes."""
        if shard not in self._claims:
            raw_claim = parquet.metadata(self.store, keys.claim(shard), METADATA)
            self._claims[shard] = Claim.from_json(raw_claim)
        return self._claims[shard]

    def claimed(self, shard: Shard) -> pa.Table:
        """Read which requests a claim holds: `id`, and the `part` where each is staged; one request to the store."""
        return parquet.whole(self.store, keys.claim(shard))

    def write_claim(self, shard: Shard, claim: Claim, requests: pa.Table) -> bool:
        """Create a claim; False if another planner was first."""
        claim_metadata = {METADATA: claim.to_json()}
        claim_rows = requests.cast(CLAIM)
        claim_table = claim_rows.replace_schema_metadata(claim_metadata)
        output = io.BytesIO()
        pq.write_table(claim_table, output, compression="zstd")
        is_ours = self.store.create(keys.claim(shard), output.getvalue())
        if is_ours:
            self._claims[shard] = claim
        return is_ours

    def posts(self, shard: Shard) -> list[Sending]:
        """Read the POSTs of a claim, in their order."""
        return sendings(self.store, shard)

    def write_post(self, shard: Shard, number: int, post: Post) -> bool:
        """Take the right to send; False if another sender has it."""
        return self.store.create(keys.post(shard, number), post.to_json())

    def write_refusal(self, shard: Shard, number: int, refusal: Refusal) -> bool:
        """Note that a POST bought nothing; False if another sender noted that first, with other details."""
        return self.store.create(keys.refusal(shard, number), refusal.to_json())

    def write_maybe(self, shard: Shard, number: int, maybe: Maybe) -> None:
        """Note that the sender of a POST has stopped without knowing whether it bought a batch."""
        self.store.create(keys.maybe(shard, number), maybe.to_json())

    def shard(self, shard: Shard) -> ShardFacts:
        """Return the facts of a shard, none of which is read yet."""
        return ShardFacts(self, shard)

    def batch(self, shard: Shard) -> Bought | None:
        """Read which batch a claim became, if that is known."""
        return self.shard(shard).bought

    def recorded_batch(self, shard: Shard) -> Bought | None:
        """Read the fact of a shard's batch; a claim that was bought before it was written has none."""
        try:
            return Bought.from_json(self.store.get(keys.batch(shard)))
        except Absent:
            return None

    def write_batch(self, shard: Shard, bought: Bought) -> Bought:
        """Note which batch a claim became; return what is noted, which may be another."""
        batch_key = keys.batch(shard)
        if self.store.create(batch_key, bought.to_json()):
            return bought
        return Bought.from_json(self.store.get(batch_key))

    def owners(self) -> frozenset[BatchId]:
        """Name the batches that belong to a claim."""
        owner_entries = self.store.list(keys.OWNERS)
        return frozenset(keys.batch_of(entry.key) for entry in owner_entries)

    def owner(self, batch: BatchId) -> Shard:
        """Read to which claim a batch belongs."""
        return Owner.from_json(self.store.get(keys.owner(batch))).shard

    def write_owner(self, batch: BatchId, shard: Shard) -> bool:
        """Assign a batch to a claim; False if it belongs to another one. Doing it again is True."""
        return self.store.create(keys.owner(batch), Owner(shard).to_json())

    def write_second(self, claim: Claim, requests: pa.Table, batch: BatchId) -> Shard:
        """Write a second claim, for a batch that was bought besides the claim's own, so that it can land too.

        Doing it again finds the claim of the first time.
        """
        second_claim = replace(claim, token=f"second {batch}", batch=batch)
        while True:
            view = self.view()
            for shard in view.claimed:
                if self.claim(shard).batch == batch:
                    return shard
            next_shard = view.next
            if self.write_claim(next_shard, second_claim, requests):
                return next_shard

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
        gone_key = keys.gone(batch)
        if self.store.create(gone_key, gone.to_json()):
            return gone
        return Gone.from_json(self.store.get(gone_key))

    def landed(self, shard: Shard) -> LandedFact | None:
        """Read the fact of a landed shard; None before it has landed."""
        try:
            raw_fact = parquet.metadata(self.store, keys.landed(shard), METADATA)
        except Absent:
            return None
        return LandedFact.from_json(raw_fact)

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
