"""The search for an orphan: which of the batches that the API lists is what a lost create has bought.

The inputs of a batch cannot be read back, so a batch of the right time and total is awaited, and then known by the
custom_ids in its results: all of our form among the first must be the claim's. What was seen is a fact, read once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from nightbatch.errors import BatchGone
from nightbatch.ids import ID_BYTES, BatchId, Shard
from nightbatch.land.read_results import KEPT
from nightbatch.ledger.facts import Claim, Gone, Seen, Sending
from nightbatch.ledger.ledger import Ledger
from nightbatch.messages.listing import listed
from nightbatch.messages.result_lines import decode
from nightbatch.ports import Batch, Batches
from nightbatch.submit.decide import Timing, candidates, since

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


def look(
    shard: Shard, claim: Claim, sending: Sending, ledger: Ledger, eye: Eye
) -> Found:
    """Look through the listed batches. Raises ApiUnavailable."""
    first = since(sending, eye.timing)
    batches = [
        batch
        for batch in listed(eye.api, first)
        if batch.created_at >= first and batch.total == claim.total
    ]
    owners = ledger.owners()
    for batch in batches:
        if batch.id in owners and ledger.owner(batch.id) == shard:
            return Found(mine=batch)
    waiting: list[Batch] = []
    ids = frozenset(ledger.claimed(shard).column("id").to_pylist())
    for batch in candidates(batches, claim, sending, owners, eye.timing):
        seen = _seen(batch, ledger, eye) if batch.ended else None
        if seen is None:
            waiting.append(batch)
        elif _is_ours(seen, ids) and ledger.write_owner(batch.id, shard):
            return Found(mine=batch)
    return Found(waiting=waiting)


def _seen(batch: Batch, ledger: Ledger, eye: Eye) -> Seen | None:
    """Return the custom_ids of our form among the first of an ended batch; None while none can be read."""
    if (known := ledger.seen(batch.id)) is not None:
        return known
    try:
        names = _custom_ids(eye.api, batch.id)
    except BatchGone:
        names = []
    if not names:
        return Seen([]) if _lastingly_gone(batch, ledger, eye) else None
    seen = Seen([name for name in names if _raw(name)])
    ledger.write_seen(batch.id, seen)
    return seen


def _lastingly_gone(batch: Batch, ledger: Ledger, eye: Eye) -> bool:
    """Tell whether results have been gone for so long that they will not come: soon, if they are kept no longer."""
    first = ledger.first_gone(batch.id, Gone(at=eye.now))
    kept = not batch.archived and eye.now - batch.created_at <= KEPT
    return eye.now - first.at > timedelta(
        seconds=eye.timing.patience if kept else eye.timing.settle
    )


def _custom_ids(api: Batches, batch: BatchId) -> list[str]:
    """Read the first custom_ids of a batch's results."""
    head = b""
    with api.results(batch) as chunks:
        for chunk in chunks:
            head += chunk
            if head.count(b"\n") >= SAMPLE or len(head) >= HEAD_BYTES:
                break
    whole = head if head.endswith(b"\n") else head[: head.rfind(b"\n") + 1] or head
    return [line.custom_id for line in decode(whole) if line is not None][:SAMPLE]


def _is_ours(seen: Seen, ids: frozenset[bytes]) -> bool:
    return bool(seen.custom_ids) and all(_raw(name) in ids for name in seen.custom_ids)


def _raw(custom_id: str) -> bytes:
    """Read a custom_id of our form; empty for another."""
    try:
        raw = bytes.fromhex(custom_id)
    except ValueError:
        return b""
    return raw if len(raw) == ID_BYTES else b""
