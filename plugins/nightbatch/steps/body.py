"""The body of a create: the claim's staged requests, as a stream of known size whose end waits for a fuse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core import keys
from nightbatch.core.errors import Absent, Incomplete, NightbatchError, Unreadable
from nightbatch.core.facts import Claim
from nightbatch.core.ids import Shard
from nightbatch.core.ports import Body
from nightbatch.core.request import BODY_HEAD, BODY_TAIL
from nightbatch.core.run import Run
from nightbatch.steps import sheets
from nightbatch.steps.failpoints import reach
from nightbatch.steps.ledger import Ledger

CHUNK = 1024 * 1024


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
    """Make the body of a claim. Raises Incomplete, before or in the midst, where the snapshot is not whole any more."""
    try:
        run = ledger.run(claim.snapshot)
    except Absent as error:
        raise _not_whole(error) from None
    return Body(claim.size, _chunks(_items(ledger.claimed(shard), run, ledger), claim, fuse))


def _items(claimed: pa.Table, run: Run, ledger: Ledger) -> Iterator[bytes]:
    item = run.frame.item
    for part in pc.unique(claimed.column("part")).to_pylist():
        wanted = claimed.filter(pc.equal(claimed.column("part"), part)).column("id").combine_chunks()
        try:
            for batch in sheets.batches(ledger.store, keys.requests(run.snapshot, part), None, 8_192):
                kept = batch.filter(pc.is_in(batch.column("id"), value_set=wanted))
                ids, contents = kept.column("id").to_pylist(), kept.column("content").to_pylist()
                yield from map(item, ids, contents)
        except (Absent, Unreadable) as error:
            raise _not_whole(error) from None


def _chunks(items: Iterator[bytes], claim: Claim, fuse: Fuse) -> Iterator[bytes]:
    """Join the items to a body in chunks of about a megabyte; its last bytes, alone, only if the fuse still burns."""
    gathered, count = bytearray(BODY_HEAD), 0
    for entry in items:
        gathered += b"," + entry if count else entry
        count += 1
        if len(gathered) >= CHUNK:
            fuse.check()
            yield bytes(gathered)
            gathered.clear()
    if count != claim.total:
        raise Incomplete(f"{count} of {claim.total} staged requests were found: the snapshot is not whole any more.")
    yield bytes(gathered)
    reach("body sent but for its end")
    fuse.check()
    yield BODY_TAIL


def _not_whole(error: NightbatchError) -> Incomplete:
    return Incomplete(f"the claim's snapshot is not whole any more: {error}")
