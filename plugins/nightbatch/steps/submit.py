"""Submit: turn a claim into a batch, once.

Returns at once with the batch, or with what to wait for; the caller waits without a worker and calls again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import pyarrow.compute as pc

from nightbatch.core import keys
from nightbatch.core.errors import AccountStopped, Incomplete, MaybeSent, NightbatchError, NotSent
from nightbatch.core.facts import Bought, Claim, Post, Refusal
from nightbatch.core.ids import BatchId, Shard
from nightbatch.core.ports import Batch, Batches, Body
from nightbatch.core.purchase import Done, Search, Send, Timing, Wait, candidates, decide
from nightbatch.core.request import BODY_HEAD, BODY_TAIL
from nightbatch.core.results import decode
from nightbatch.core.run import Run
from nightbatch.steps import sheets
from nightbatch.steps.ledger import Ledger

RETRY_AFTER = 30.0
CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Submitted:
    """The claim's batch."""

    batch: BatchId


@dataclass(frozen=True)
class Later:
    """Nothing can be done before `until`, or before one of these batches has ended."""

    until: datetime
    why: str
    batches: tuple[BatchId, ...] = ()


class BurntOutError(NightbatchError):
    """The fuse of a POST burned down before its body was sent whole; nothing was bought."""


@dataclass(frozen=True)
class Buyer:
    """Who turns claims into batches, with what it needs for that."""

    ledger: Ledger
    api: Batches
    now: Callable[[], datetime]
    timing: Timing

    def submit(self, shard: Shard) -> Submitted | Later:
        """Do the next step for a claim, by what its facts say. Raises AccountStopped, or NotSent for a final no."""
        while True:
            claim = self.ledger.claim(shard)
            later: Later | None
            match decide(self.ledger.batch(shard), self.ledger.posts(shard).sent, self.now()):
                case Done(bought):
                    return Submitted(bought.batch)
                case Wait(until):
                    return Later(until, "the API asked to wait")
                case Search(number, post):
                    later = self.search(shard, claim, number, post)
                case Send(number):
                    later = self.send(shard, claim, number)
            if later is not None:
                return later

    def send(self, shard: Shard, claim: Claim, number: int) -> Later | None:
        """Send one POST if the right to it can be had; None: look at the facts again."""
        body = body_of(shard, claim, self.ledger, fuse=time.monotonic() + self.timing.fuse)
        if not self.ledger.write_post(shard, number, Post(at=self.now(), token=uuid4().hex)):
            return None
        try:
            batch = self.api.create(body)
        except (NotSent, AccountStopped) as error:
            return self._refused(shard, number, error)
        except MaybeSent as error:
            return Later(self.now() + timedelta(seconds=self.timing.look), str(error))
        bought = Bought(batch=batch.id, created_at=batch.created_at, total=claim.total)
        self.ledger.write_batch(shard, bought)
        return None

    def _refused(self, shard: Shard, number: int, error: NotSent | AccountStopped) -> Later:
        """Note a definite no; what to wait for before the next POST, unless it is final."""
        retryable = isinstance(error, NotSent) and error.retryable
        wait = (error.retry_after or RETRY_AFTER) if isinstance(error, NotSent) and retryable else 0
        retry_at = self.now() + timedelta(seconds=wait)
        self.ledger.write_refusal(shard, number, Refusal(at=self.now(), why=str(error), retry_at=retry_at))
        if not retryable:
            raise error
        return Later(retry_at, str(error))

    def search(self, shard: Shard, claim: Claim, number: int, post: Post) -> Later | None:
        """Look for the batch that a post may have bought; None: the facts have changed."""
        since = post.at - timedelta(seconds=self.timing.clock_slack)
        found = candidates(list(_since(self.api, since)), claim, post, taken(self.ledger), self.timing)
        ids = set(self.ledger.claimed(shard).column("id").to_pylist())
        for batch in (one for one in found if one.ended):
            if _names_ours(self.api, batch.id, ids):
                bought = Bought(batch=batch.id, created_at=batch.created_at, total=claim.total, how="adopted")
                self.ledger.write_batch(shard, bought)
                return None
        now, over = self.now(), post.at + self.timing.grace
        look = now + timedelta(seconds=self.timing.look)
        if waiting := tuple(batch.id for batch in found if not batch.ended):
            return Later(look, f"waiting for the end of {len(waiting)} batches: one may be what was bought", waiting)
        if now < over:
            return Later(min(look, over), "the answer to a create was lost: looking for its batch")
        self.ledger.write_refusal(shard, number, Refusal(at=now, why="no batch of it was found", retry_at=now))
        return None


def taken(ledger: Ledger) -> frozenset[BatchId]:
    """Name the batches that are some claim's already."""
    shards = (keys.shard_of(entry.key) for entry in ledger.store.list(keys.BATCHES))
    return frozenset(bought.batch for shard in shards if (bought := ledger.batch(shard)))


def body_of(shard: Shard, claim: Claim, ledger: Ledger, *, fuse: float) -> Body:
    """Make the body of a claim from its staged requests, as a stream of known size."""
    run = ledger.run(claim.snapshot)
    return Body(claim.size, _chunks(_guarded(_items(shard, run, ledger), claim, fuse)))


def _items(shard: Shard, run: Run, ledger: Ledger) -> Iterator[bytes]:
    claimed = ledger.claimed(shard)
    item = run.frame.item
    for part in pc.unique(claimed.column("part")).to_pylist():
        wanted = claimed.filter(pc.equal(claimed.column("part"), part)).column("id").combine_chunks()
        for batch in sheets.batches(ledger.store, keys.requests(run.snapshot, part), None, 8_192):
            kept = batch.filter(pc.is_in(batch.column("id"), value_set=wanted))
            for request_id, content in zip(
                kept.column("id").to_pylist(), kept.column("content").to_pylist(), strict=True
            ):
                yield item(request_id, content)


def _guarded(items: Iterator[bytes], claim: Claim, fuse: float) -> Iterator[bytes]:
    """Join the items to a body; let nothing through once the fuse has burned down, least of all the end."""
    yield BODY_HEAD
    separator, count = b"", 0
    for entry in items:
        yield separator + entry
        separator, count = b",", count + 1
    if count != claim.total:
        raise Incomplete(f"{count} of {claim.total} staged requests were found: the snapshot is not whole any more.")
    if time.monotonic() > fuse:
        raise BurntOutError
    yield BODY_TAIL


def _chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    gathered = bytearray()
    for piece in pieces:
        gathered += piece
        if len(gathered) >= CHUNK:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)


def _since(api: Batches, since: datetime) -> Iterator[Batch]:
    after = None
    while True:
        page = api.page(after)
        yield from page.batches
        after = page.next
        if after is None or (page.batches and page.batches[-1].created_at < since):
            return


def _names_ours(api: Batches, batch: BatchId, ids: set[bytes]) -> bool:
    """Read the first line of a batch's results: any custom_id of ours proves it ours."""
    head = b""
    with api.results(batch) as chunks:
        for chunk in chunks:
            head += chunk
            if b"\n" in head:
                break
    lines = decode(head.partition(b"\n")[0])
    named = next((line.custom_id for line in lines if line is not None), "")
    try:
        return bytes.fromhex(named) in ids
    except ValueError:
        return False
