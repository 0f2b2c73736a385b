"""Expire: forget the row texts and the models' own words that are older than an age, and nothing a rerun needs.

What stays for good is which requests are settled and with which answer: the difference of every later run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightbatch.columnar import parquet
from nightbatch.errors import SettingsError
from nightbatch.ids import Shard, Snapshot
from nightbatch.ledger import keys, lease
from nightbatch.ledger.facts import METADATA
from nightbatch.ledger.ledger import Ledger
from nightbatch.ports import Retains

TEXT = "text"


@dataclass(frozen=True)
class Expired:
    """What was removed: snapshots, whole; and the raw texts of landed shards."""

    snapshots: list[Snapshot]
    shards: list[Shard]
    kept: list[Snapshot]
    """Old snapshots that stay, because something of them is in flight."""


def expire(
    ledger: Ledger,
    facts: Retains,
    before: datetime,
    now: datetime,
    *,
    dry: bool = False,
) -> Expired:
    """Remove what was written before a time; `facts` is the ledger's own store.

    Done again, or after it was cut short, it does the rest.

    A snapshot goes with `run.json` first, so that a later run of the same input stages it anew; one of which a claim
    has not landed stays, since its batch may have to be sent yet.
    """
    if not ledger.is_there:
        raise SettingsError(
            f"state: there is no ledger of nightbatch below {ledger.store.url}. Nothing was removed."
        )
    view = ledger.view()
    claims = {shard: ledger.claim(shard) for shard in view.claimed}
    busy = {claims[shard].snapshot for shard in view.in_flight}
    busy |= {claim.snapshot for claim in claims.values() if claim.created_at >= before}
    old = dict(_old_snapshots(facts, before))
    gone = [snapshot for snapshot in old if snapshot not in busy]
    shards = [
        shard
        for shard in view.landed
        if shard in claims and claims[shard].created_at < before
    ]
    redacted = [
        shard for shard in shards if _forget_text(ledger, facts, shard, dry=dry)
    ]
    if gone and not dry:
        with lease.hold(
            ledger.store,
            lambda: now,
            holder=f"expire/{uuid4().hex}",
            seconds=ledger.lease_seconds,
        ):
            for snapshot in gone:
                ledger.store.remove([keys.run(snapshot)])
                ledger.store.remove(old[snapshot])
    return Expired(gone, redacted, sorted(busy & old.keys()))


def _old_snapshots(
    facts: Retains, before: datetime
) -> Iterator[tuple[Snapshot, list[str]]]:
    """Name the snapshots of which nothing was written since, with their objects."""
    found: dict[Snapshot, list[str]] = {}
    fresh: set[Snapshot] = set()
    for key, written in facts.ages(keys.SNAPSHOTS):
        if not keys.is_fact(key):
            continue
        snapshot = Snapshot(key.split("/")[1])
        found.setdefault(snapshot, []).append(key)
        if written >= before:
            fresh.add(snapshot)
    yield from (
        (snapshot, objects)
        for snapshot, objects in found.items()
        if snapshot not in fresh
    )


def _forget_text(ledger: Ledger, facts: Retains, shard: Shard, *, dry: bool) -> bool:
    """Write a landed shard anew without the models' own words, rows and facts as they were; False if it has none."""
    opened = parquet.file(ledger.store, keys.landed(shard))
    schema = opened.schema_arrow
    if (
        TEXT not in schema.names
        or pc.all(pc.is_null(opened.read([TEXT]).column(0))).as_py() is not False
    ):
        return False
    if not dry:
        facts.replace(keys.landed(shard), _without_text(opened, schema))
    return True


def _without_text(opened: pq.ParquetFile, schema: pa.Schema) -> bytes:
    out = pa.BufferOutputStream()
    place = schema.get_field_index(TEXT)
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for batch in opened.iter_batches():
            columns = list(batch.columns)
            columns[place] = pa.nulls(batch.num_rows, schema.field(TEXT).type)
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
        writer.add_key_value_metadata(
            {METADATA: (opened.metadata.metadata or {}).get(METADATA, b"{}")}
        )
    body: bytes = out.getvalue().to_pybytes()
    return body
