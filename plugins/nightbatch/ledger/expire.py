"""Expire: remove row texts and raw answer texts that are older than an age, and nothing that a rerun needs.

Which requests are settled, and with which answer, is kept for good: every later run depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.columnar import parquet
from nightbatch.errors import SettingsError
from nightbatch.ids import Shard, Snapshot
from nightbatch.ledger import keys, lease
from nightbatch.ledger.facts import METADATA, Claim
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.view import LedgerView
from nightbatch.ports import Retains, Store

TEXT = "text"


@dataclass(frozen=True)
class Expired:
    """What was removed: whole snapshots, and the raw texts of landed shards."""

    snapshots: list[Snapshot]
    shards: list[Shard]
    kept: list[Snapshot]
    """Old snapshots that stay, because some of their requests are in flight."""


def expire(
    ledger: Ledger,
    facts: Retains,
    before: datetime,
    now: datetime,
    *,
    dry: bool = False,
) -> Expired:
    """Remove what was written before a time; `facts` is the ledger's own store.

    Running it again, also after an interruption, removes the rest.

    Of a snapshot, `run.json` is removed first, so that a later run of the same input stages it again. A snapshot with a
    claim that has not landed is kept, since its batch may still have to be sent.
    """
    if not ledger.is_there:
        raise SettingsError(
            f"state: there is no ledger of nightbatch below {ledger.store.url}. Nothing was removed."
        )
    view = ledger.view()
    claims = {shard: ledger.claim(shard) for shard in view.claimed}
    busy_snapshots = _busy_snapshots(view, claims, before)
    old_snapshots = _old_snapshots(facts, before)
    expired_snapshots = [
        snapshot for snapshot in old_snapshots if snapshot not in busy_snapshots
    ]
    old_shards = _old_landed_shards(view, claims, before)
    redacted_shards = [
        shard for shard in old_shards if _remove_text(ledger, facts, shard, dry=dry)
    ]
    if expired_snapshots and not dry:
        expired_keys = {
            snapshot: old_snapshots[snapshot] for snapshot in expired_snapshots
        }
        _remove_snapshots(ledger, expired_keys, now)
    kept_snapshots = sorted(busy_snapshots & old_snapshots.keys())
    return Expired(expired_snapshots, redacted_shards, kept_snapshots)


def _busy_snapshots(
    view: LedgerView, claims: Mapping[Shard, Claim], before: datetime
) -> set[Snapshot]:
    """Name the snapshots with a claim that is in flight or was not written before the time."""
    in_flight = {claims[shard].snapshot for shard in view.in_flight}
    recently_claimed = {
        claim.snapshot for claim in claims.values() if claim.created_at >= before
    }
    return in_flight | recently_claimed


def _old_landed_shards(
    view: LedgerView, claims: Mapping[Shard, Claim], before: datetime
) -> list[Shard]:
    claimed_shards = [shard for shard in view.landed if shard in claims]
    return [shard for shard in claimed_shards if claims[shard].created_at < before]


def _old_snapshots(facts: Retains, before: datetime) -> dict[Snapshot, list[str]]:
    """Name the snapshots of which nothing was written since, with the keys of their objects."""
    snapshot_keys: dict[Snapshot, list[str]] = {}
    recent_snapshots: set[Snapshot] = set()
    for key, written_at in facts.ages(keys.SNAPSHOTS):
        if not keys.is_fact(key):
            continue
        snapshot = keys.snapshot_of(key)
        keys_so_far = snapshot_keys.setdefault(snapshot, [])
        keys_so_far.append(key)
        if written_at >= before:
            recent_snapshots.add(snapshot)
    for snapshot in recent_snapshots:
        del snapshot_keys[snapshot]
    return snapshot_keys


def _remove_snapshots(
    ledger: Ledger, expired_keys: Mapping[Snapshot, list[str]], now: datetime
) -> None:
    """Remove snapshots, with the keys of their objects, while nobody plans."""
    with lease.hold(
        ledger.store,
        lambda: now,
        holder=f"expire/{uuid4().hex}",
        seconds=ledger.lease_seconds,
    ):
        for snapshot, snapshot_keys in expired_keys.items():
            _remove_snapshot(ledger.store, snapshot, snapshot_keys)


def _remove_snapshot(
    store: Store, snapshot: Snapshot, snapshot_keys: list[str]
) -> None:
    store.remove([keys.run(snapshot)])
    store.remove(snapshot_keys)


def _remove_text(ledger: Ledger, facts: Retains, shard: Shard, *, dry: bool) -> bool:
    """Rewrite a landed shard without the raw answer texts, all else unchanged; False if it has none."""
    landed_key = keys.landed(shard)
    landed_file = parquet.file(ledger.store, landed_key)
    if not _has_text(landed_file):
        return False
    if dry:
        return True
    redacted_file = _without_text(landed_file)
    facts.replace(landed_key, redacted_file)
    return True


def _has_text(landed_file: pq.ParquetFile) -> bool:
    if TEXT not in landed_file.schema_arrow.names:
        return False
    texts = landed_file.read([TEXT]).column(0)
    return bool(texts.null_count < len(texts))


def _without_text(landed_file: pq.ParquetFile) -> bytes:
    schema = landed_file.schema_arrow
    text_index = schema.get_field_index(TEXT)
    text_type = schema.field(TEXT).type
    file_metadata = landed_file.metadata.metadata or {}
    fact_json = file_metadata.get(METADATA, b"{}")
    output = pa.BufferOutputStream()
    with pq.ParquetWriter(output, schema, compression="zstd") as writer:
        for batch in landed_file.iter_batches():
            no_text = pa.nulls(batch.num_rows, text_type)
            columns = list(batch.columns)
            columns[text_index] = no_text
            redacted_batch = pa.RecordBatch.from_arrays(columns, schema=schema)
            writer.write_batch(redacted_batch)
        writer.add_key_value_metadata({METADATA: fact_json})
    buffer = output.getvalue()
    body: bytes = buffer.to_pybytes()
    return body
