"""The body of a create: the claim's staged requests, as a stream of known size that ends only within a time limit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar import parquet
from nightbatch.columnar.threads import read_ahead
from nightbatch.errors import Absent, Incomplete, NightbatchError
from nightbatch.failpoints import reach
from nightbatch.ledger import keys
from nightbatch.ledger.facts import Claim
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.shard_facts import ShardFacts
from nightbatch.messages.request import BODY_HEAD, BODY_TAIL, Frame
from nightbatch.ports import Body
from nightbatch.spec.run import Run
from nightbatch.submit.decide import Clock

BATCH_ROWS = 4_096
CHUNK_BYTES = 256 * 1024


class SendTimeOver(NightbatchError):
    """The time to send a POST was over before its body was sent whole; nothing was bought."""


@dataclass(frozen=True)
class SendLimit:
    """Until when a POST may be sent, by the wall clock and the monotonic clock, since either may have stood still."""

    now: Clock
    until: datetime
    ticks: float

    @classmethod
    def starting(cls, now: Clock, seconds: float) -> SendLimit:
        """Return a limit that is reached in `seconds`."""
        until = now() + timedelta(seconds=seconds)
        ticks = time.monotonic() + seconds
        return cls(now, until, ticks)

    def check(self) -> None:
        """Raise SendTimeOver once the limit is reached."""
        if self.now() >= self.until or time.monotonic() >= self.ticks:
            raise SendTimeOver


def body_of(facts: ShardFacts, limit: SendLimit) -> Body:
    """Build the body of a claim. Raises Incomplete, also while it is sent, if the snapshot is no longer whole.

    Raises StoreError if the snapshot cannot be read now; a later try may succeed.
    """
    claim = facts.claim
    ledger = facts.ledger
    run = _run(ledger, claim)
    claimed = facts.requests()
    batches = read_ahead(_staged(claimed, run, ledger))
    chunks = _chunks(batches, run.frame, claim, limit)
    return Body(claim.size, chunks)


def _run(ledger: Ledger, claim: Claim) -> Run:
    """Read the run that has planned a claim, and check that its parameters were not changed since."""
    try:
        run = ledger.run(claim.snapshot)
    except Absent as error:
        raise _not_whole(error) from None
    if not run.frame.is_sound:
        raise Incomplete(
            f"the parameters in {keys.run(claim.snapshot)} are not those that were planned: it was changed."
        )
    return run


def _staged(claimed: pa.Table, run: Run, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    """Read the claimed requests part by part."""
    part_column = claimed.column("part")
    for part in pc.unique(part_column).to_pylist():
        is_of_part = pc.equal(part_column, part)
        claimed_of_part = claimed.filter(is_of_part)
        claimed_ids = claimed_of_part.column("id").combine_chunks()
        key = keys.requests(run.snapshot, part)
        try:
            yield from _claimed_batches(ledger, key, claimed_ids)
        except Absent as error:
            raise _not_whole(error) from None


def _claimed_batches(
    ledger: Ledger, key: str, claimed_ids: pa.Array
) -> Iterator[pa.RecordBatch]:
    """Read the claimed requests of one part; which of its rows are claimed is computed once, from its ids."""
    part_file = parquet.file(ledger.store, key)
    id_table = part_file.read(columns=["id"], use_threads=False)
    part_ids = id_table.column("id")
    is_in_claim = pc.is_in(part_ids, value_set=claimed_ids)
    is_claimed = is_in_claim.combine_chunks()
    start = 0
    columns = ["id", "content"]
    for batch in parquet.batches_of(part_file, columns, BATCH_ROWS):
        row_count = batch.num_rows
        row_mask = is_claimed.slice(start, row_count)
        start += row_count
        all_claimed = row_mask.true_count == row_count
        if all_claimed:
            yield batch
        else:
            yield batch.filter(row_mask)


def _chunks(
    batches: Iterator[pa.RecordBatch], frame: Frame, claim: Claim, limit: SendLimit
) -> Iterator[bytes]:
    """Join the items to a body in chunks; its last bytes are sent separately, and only before the limit."""
    request_count = 0
    yield BODY_HEAD
    for batch in batches:
        _check_ids(batch, frame)
        items = frame.items(batch.column("id"), batch.column("content"))
        # Each item starts with a comma: the first of the body is left out.
        first_byte = 0 if request_count else 1
        for start in range(first_byte, len(items), CHUNK_BYTES):
            limit.check()
            yield items[start : start + CHUNK_BYTES].tobytes()
        request_count += batch.num_rows
    if request_count != claim.total:
        raise Incomplete(
            f"{request_count} of {claim.total} staged requests were found: the snapshot is not whole any more."
        )
    reach("body sent but for its end")
    limit.check()
    yield BODY_TAIL


def _check_ids(batch: pa.RecordBatch, frame: Frame) -> None:
    """Refuse contents that do not match the ids that the requests got when they were planned."""
    content_ids = frame.request_ids(batch.column("content"))
    planned_ids = batch.column("id").to_pylist()
    if content_ids != planned_ids:
        raise Incomplete(
            "the staged requests are not those that were planned: a file of the snapshot was changed. "
            "Nothing was sent. Remove the snapshot's folder below the state, and run again from `prepare` on."
        )


def _not_whole(error: NightbatchError) -> Incomplete:
    return Incomplete(f"the claim's snapshot is not whole any more: {error}")
