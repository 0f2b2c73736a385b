"""The search for an orphan: which of the batches that the API lists was bought by a create without an answer.

The API does not return the inputs of a batch. So a batch of the right time and total is awaited until it ends, and then
identified by the custom_ids in its results: among the first ones, all of our form must be the claim's. They are stored
as a fact, so that each batch is read once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from nightbatch.errors import BatchGone
from nightbatch.ids import ID_BYTES, BatchId
from nightbatch.land.read_results import KEPT
from nightbatch.ledger.facts import Gone, Seen, Sending
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.shard_facts import ShardFacts
from nightbatch.messages.listing import listed
from nightbatch.messages.result_lines import decode
from nightbatch.ports import Batch, Batches
from nightbatch.submit.decide import SubmitTiming, candidates, since

SAMPLE = 50
"""Most custom_ids that are read of a batch."""
HEAD_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class SearchContext:
    """What a search needs besides the ledger."""

    api: Batches
    now: datetime
    timing: SubmitTiming


@dataclass(frozen=True)
class OrphanSearch:
    """The batch that was bought, or the batches that may be it: not ended yet, or not readable now."""

    mine: Batch | None = None
    waiting: list[Batch] = field(default_factory=list)


def look_for(
    facts: ShardFacts, sending: Sending, context: SearchContext
) -> OrphanSearch:
    """Search the listed batches. Raises ApiUnavailable."""
    batches = _listed(facts, sending, context)
    owners = facts.ledger.owners()
    owned_batch = _owned(facts, batches, owners)
    if owned_batch is not None:
        return OrphanSearch(mine=owned_batch)
    possible_batches = candidates(batches, facts.claim, sending, owners, context.timing)
    return _identified(facts, possible_batches, context)


def _identified(
    facts: ShardFacts, batches: Iterable[Batch], context: SearchContext
) -> OrphanSearch:
    """Find the batch whose results are the claim's, and assign it to the claim."""
    ledger = facts.ledger
    id_column = facts.requests().column("id")
    claimed_ids = frozenset(id_column.to_pylist())
    waiting: list[Batch] = []
    for batch in batches:
        seen = _seen(batch, ledger, context)
        if seen is None:
            waiting.append(batch)
            continue
        is_ours = _is_ours(seen, claimed_ids)
        if is_ours and ledger.write_owner(batch.id, facts.shard):
            return OrphanSearch(mine=batch)
    return OrphanSearch(waiting=waiting)


def _listed(facts: ShardFacts, sending: Sending, context: SearchContext) -> list[Batch]:
    """List the batches of the claim's total that were created since the POST."""
    earliest = since(sending, context.timing)
    total = facts.claim.total
    batches = listed(context.api, earliest)
    return [
        batch
        for batch in batches
        if batch.created_at >= earliest and batch.total == total
    ]


def _owned(
    facts: ShardFacts, batches: Iterable[Batch], owners: Collection[BatchId]
) -> Batch | None:
    """Find the batch that the ledger has assigned to the claim already."""
    for batch in batches:
        if batch.id not in owners:
            continue
        owner = facts.ledger.owner(batch.id)
        if owner == facts.shard:
            return batch
    return None


def _seen(batch: Batch, ledger: Ledger, context: SearchContext) -> Seen | None:
    """Return the custom_ids of our form among the first of a batch; None while none can be read."""
    if not batch.ended:
        return None
    stored = ledger.seen(batch.id)
    if stored is not None:
        return stored
    try:
        custom_ids = _custom_ids(context.api, batch.id)
    except BatchGone:
        custom_ids = []
    if custom_ids:
        seen = Seen([custom_id for custom_id in custom_ids if _raw(custom_id)])
        ledger.write_seen(batch.id, seen)
        return seen
    if _lastingly_gone(batch, ledger, context):
        return Seen([])
    return None


def _lastingly_gone(batch: Batch, ledger: Ledger, context: SearchContext) -> bool:
    """Return whether results have been gone for so long that they will not come back."""
    first_gone = ledger.first_gone(batch.id, Gone(at=context.now))
    gone_time = context.now - first_gone.at
    return gone_time > _longest_gone(batch, context)


def _longest_gone(batch: Batch, context: SearchContext) -> timedelta:
    """Return how long to wait for results that are gone: not long if the API keeps them no longer."""
    age = context.now - batch.created_at
    if batch.archived or age > KEPT:
        return timedelta(seconds=context.timing.settle)
    return timedelta(seconds=context.timing.patience)


def _custom_ids(api: Batches, batch: BatchId) -> list[str]:
    """Read the first custom_ids of a batch's results."""
    lines = _whole_lines(_head(api, batch))
    custom_ids = [line.custom_id for line in decode(lines) if line is not None]
    return custom_ids[:SAMPLE]


def _head(api: Batches, batch: BatchId) -> bytes:
    """Read the first bytes of a batch's results: SAMPLE lines, or HEAD_BYTES."""
    head = b""
    with api.results(batch) as chunks:
        for chunk in chunks:
            head += chunk
            line_count = head.count(b"\n")
            if line_count >= SAMPLE or len(head) >= HEAD_BYTES:
                break
    return head


def _whole_lines(head: bytes) -> bytes:
    """Cut off an incomplete last line; keep it if it is the only one."""
    end_of_lines = head.rfind(b"\n") + 1
    return head[:end_of_lines] or head


def _is_ours(seen: Seen, claimed_ids: frozenset[bytes]) -> bool:
    if not seen.custom_ids:
        return False
    return all(_raw(custom_id) in claimed_ids for custom_id in seen.custom_ids)


def _raw(custom_id: str) -> bytes:
    """Decode a custom_id of our form; empty for any other."""
    try:
        raw_id = bytes.fromhex(custom_id)
    except ValueError:
        return b""
    return raw_id if len(raw_id) == ID_BYTES else b""
