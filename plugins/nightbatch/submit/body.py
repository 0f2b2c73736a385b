"""The body of a create: the claim's staged requests, as a stream of known size whose end waits for a fuse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar import parquet
from nightbatch.columnar.threads import ahead
from nightbatch.errors import Absent, Incomplete, NightbatchError
from nightbatch.failpoints import reach
from nightbatch.ids import Shard
from nightbatch.ledger import keys
from nightbatch.ledger.facts import Claim
from nightbatch.ledger.ledger import Ledger
from nightbatch.messages.request import BODY_HEAD, BODY_TAIL, Frame
from nightbatch.ports import Body
from nightbatch.spec.run import Run

BATCH_ROWS, CHUNK = 4_096, 256 * 1024


class BurntOutError(NightbatchError):
    """The fuse of a POST burned down before its body was sent whole; nothing was bought."""


@dataclass(frozen=True)
class Fuse:
    """Burns from its making on, by the wall clock and by the machine's own: either may have stood still."""

    now: Callable[[], datetime]
    until: datetime
    ticks: float

    @classmethod
    def light(cls, now: Callable[[], datetime], seconds: float) -> Fuse:
        """Make a fuse that burns for so many seconds."""
        return cls(now, now() + timedelta(seconds=seconds), time.monotonic() + seconds)

    def check(self) -> None:
        """Raise BurntOutError once it has burned down."""
        if self.now() >= self.until or time.monotonic() >= self.ticks:
            raise BurntOutError


def body_of(shard: Shard, claim: Claim, ledger: Ledger, fuse: Fuse) -> Body:
    """Make the body of a claim. Raises Incomplete, before or in the midst, where the snapshot is not whole any more.

    StoreError tells that it cannot be read just now: that may pass.
    """
    try:
        run = ledger.run(claim.snapshot)
    except Absent as error:
        raise _not_whole(error) from None
    if not run.frame.is_sound:
        raise Incomplete(
            f"the parameters in {keys.run(claim.snapshot)} are not those that were planned: it was changed."
        )
    staged = ahead(_staged(ledger.claimed(shard), run, ledger))
    return Body(claim.size, _chunks(staged, run.frame, claim, fuse))


def _staged(claimed: pa.Table, run: Run, ledger: Ledger) -> Iterator[pa.RecordBatch]:
    """Read the claimed requests part by part; which rows of a part are claimed is found once, from its ids."""
    for part in pc.unique(claimed.column("part")).to_pylist():
        wanted = (
            claimed.filter(pc.equal(claimed.column("part"), part))
            .column("id")
            .combine_chunks()
        )
        key, at = keys.requests(run.snapshot, part), 0
        try:
            ids = parquet.table(ledger.store, key, ["id"]).column("id")
            kept = pc.is_in(ids, value_set=wanted).combine_chunks()
            for batch in parquet.batches(
                ledger.store, key, ["id", "content"], BATCH_ROWS
            ):
                mask, at = kept.slice(at, batch.num_rows), at + batch.num_rows
                yield batch if mask.true_count == batch.num_rows else batch.filter(mask)
        except Absent as error:
            raise _not_whole(error) from None


def _chunks(
    staged: Iterator[pa.RecordBatch], frame: Frame, claim: Claim, fuse: Fuse
) -> Iterator[bytes]:
    """Join the items to a body in chunks; its last bytes, alone, only if the fuse still burns."""
    count = 0
    yield BODY_HEAD
    for batch in staged:
        _check_ids(batch, frame)
        items = frame.items(batch.column("id"), batch.column("content"))
        for at in range(0 if count else 1, len(items), CHUNK):
            fuse.check()
            yield items[at : at + CHUNK].tobytes()
        count += batch.num_rows
    if count != claim.total:
        raise Incomplete(
            f"{count} of {claim.total} staged requests were found: the snapshot is not whole any more."
        )
    reach("body sent but for its end")
    fuse.check()
    yield BODY_TAIL


def _check_ids(batch: pa.RecordBatch, frame: Frame) -> None:
    """Refuse contents that are not those by which the requests were named when they were planned."""
    if frame.request_ids(batch.column("content")) != batch.column("id").to_pylist():
        raise Incomplete(
            "the staged requests are not those that were planned: a file of the snapshot was changed. "
            "Nothing was sent. Remove the snapshot's folder below the state, and run again from `prepare` on."
        )


def _not_whole(error: NightbatchError) -> Incomplete:
    return Incomplete(f"the claim's snapshot is not whole any more: {error}")
