"""An index, in one file: which ids some landed shards hold and in which row, sorted; for whom they were bought.

It only repeats what the shards say, so readers find the same with one index, with two of them, or with none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.id_lookup import ID, heads, words
from nightbatch.ids import Shard
from nightbatch.ledger.facts import LandedFact
from nightbatch.messages.outcome import SETTLED

METADATA = b"nightbatch.index.2"
INDEX = pa.schema(
    [
        pa.field("id", ID, nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("settled", pa.bool_(), nullable=False),
    ]
)
_FINAL = pa.array(sorted(SETTLED), pa.string())


class BoughtFor(NamedTuple):
    """For whom a shard was bought."""

    buyer: str
    scope: str
    target: str
    partition: str


def bought_for(fact: LandedFact) -> BoughtFor:
    """Read for whom a landed shard was bought."""
    claim = fact.claim
    return BoughtFor(claim.buyer, claim.scope, claim.target, claim.partition)


def entries(shard: Shard, landed: pa.Table | pa.RecordBatch) -> pa.Table:
    """Make the index's rows of a landed shard (its `id` and `status`), in the shard's order."""
    row_count = landed.num_rows
    shard_number = pa.scalar(int(shard), pa.int32())
    row_numbers = np.arange(row_count, dtype=np.int32)
    statuses = landed.column("status").cast(pa.string())
    index_columns = [
        landed.column("id"),
        pa.repeat(shard_number, row_count),
        pa.array(row_numbers),
        pc.is_in(statuses, value_set=_FINAL),
    ]
    return pa.table(index_columns, schema=INDEX)


def merged(tables: Sequence[pa.Table]) -> pa.Table:
    """Merge entries, sorted by the heads of their ids."""
    all_entries = pa.concat_tables(tables).combine_chunks()
    id_words = words(all_entries.column("id"))
    id_order = np.argsort(heads(id_words), kind="stable")
    return all_entries.take(pa.array(id_order))


def to_metadata(covered: Mapping[Shard, BoughtFor]) -> dict[bytes, bytes]:
    """Name the shards that an index covers, in its own metadata."""
    rows = [[shard, *bought_for] for shard, bought_for in covered.items()]
    return {METADATA: msgspec.json.encode(rows)}


def from_metadata(raw: bytes) -> dict[Shard, BoughtFor]:
    """Read which shards an index covers."""
    rows = msgspec.json.decode(raw)
    return {Shard(shard): BoughtFor(*bought_for) for shard, *bought_for in rows}


def name(shards: Sequence[Shard]) -> str:
    """Name a set of shards: 12 hex digits."""
    joined_names = ",".join(shards)
    return hashlib.sha256(joined_names.encode()).hexdigest()[:12]
