"""The search for an orphan: which of the batches that the API lists is what a lost create has bought.

The inputs of a batch cannot be read back, so a batch of the right time and total is awaited, and then known by the
custom_ids in its results: all of those looked at must be the claim's. What was seen of a batch is a fact, read once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from nightbatch.core.errors import BatchGone
from nightbatch.core.facts import Claim, Gone, Seen, Sending
from nightbatch.core.ids import ID_BYTES, BatchId, Shard
from nightbatch.core.lines import decode
from nightbatch.core.ports import Batch, Batches
from nightbatch.core.purchase import Timing, candidates, since
from nightbatch.steps.ledger import Ledger

SAMPLE = 50
"""So many custom_ids of a batch are read, at most."""
HEAD_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Eye:
    """What a look needs besides the ledger."""

    api: Batches
    now: datetime
    timing: Timing


@dataclass(frozen=True)
class Found:
    """The batch that was bought, or those that may be it: not ended yet, or ended and not to be read just now."""

    mine: Batch | None = None
    waiting: list[Batch] = field(default_factory=list)


def look(shard: Shard, claim: Claim, sending: Sending, ledger: Ledger, eye: Eye) -> Found:
    """Look through the listed batches. Raises ApiUnavailable."""
    listed = list(_listed(eye.api, since(sending, eye.timing)))
    owners = ledger.owners()
    for batch in listed:
        if batch.id in owners and ledger.owner(batch.id) == shard:
            return Found(mine=batch)
    waiting: list[Batch] = []
    ids = frozenset(ledger.claimed(shard).column("id").to_pylist())
    for batch in candidates(listed, claim, sending, owners, eye.timing):
        seen = _seen(batch, ledger, eye) if batch.ended else None
        if seen is None:
            waiting.append(batch)
        elif _is_ours(seen, ids) and ledger.write_owner(batch.id, shard):
            return Found(mine=batch)
    return Found(waiting=waiting)


def _listed(api: Batches, first: datetime) -> Iterator[Batch]:
    """List batches, newest first, as far back as the first that is too old."""
    after: BatchId | None = None
    while True:
        page = api.page(after)
        yield from page.batches
        if page.next in {None, after} or (page.batches and page.batches[-1].created_at < first):
            return
        after = page.next


def _seen(batch: Batch, ledger: Ledger, eye: Eye) -> Seen | None:
    """Return some custom_ids of an ended batch; None while they cannot be had."""
    if (known := ledger.seen(batch.id)) is not None:
        return known
    try:
        seen = Seen(list(_custom_ids(eye.api, batch.id)))
    except BatchGone:
        first = ledger.first_gone(batch.id, Gone(at=eye.now))
        lasting = eye.now - first.at > timedelta(seconds=eye.timing.settle)
        return Seen([]) if lasting else None
    ledger.write_seen(batch.id, seen)
    return seen


def _custom_ids(api: Batches, batch: BatchId) -> Iterator[str]:
    """Read the first custom_ids of a batch's results; none if one of them is not of our form."""
    head = b""
    with api.results(batch) as chunks:
        for chunk in chunks:
            head += chunk
            if head.count(b"\n") >= SAMPLE or len(head) >= HEAD_BYTES:
                break
    whole = head if head.endswith(b"\n") else head[: head.rfind(b"\n") + 1] or head
    names = [line.custom_id for line in decode(whole) if line is not None][:SAMPLE]
    return iter(names if all(_raw(name) for name in names) else [])


def _is_ours(seen: Seen, ids: frozenset[bytes]) -> bool:
    return bool(seen.custom_ids) and all(_raw(name) in ids for name in seen.custom_ids)


def _raw(custom_id: str) -> bytes:
    """Read a custom_id of our form; empty for another."""
    try:
        raw = bytes.fromhex(custom_id)
    except ValueError:
        return b""
    return raw if len(raw) == ID_BYTES else b""
