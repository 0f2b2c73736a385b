"""An index: which ids some landed shards hold and in which row, sorted, and whose those shards are, in one file.

It repeats what the shards say and adds nothing, so it may be there or not, twice or once: readers find the same.
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


class Whose(NamedTuple):
    """For whom a shard was bought."""

    buyer: str
    scope: str
    target: str
    partition: str


def whose(fact: LandedFact) -> Whose:
    """Read for whom a landed shard was bought."""
    return Whose(
        fact.claim.buyer, fact.claim.scope, fact.claim.target, fact.claim.partition
    )


def entries(shard: Shard, landed: pa.Table | pa.RecordBatch) -> pa.Table:
    """Make the index's rows of a landed shard (its `id` and `status`), in the shard's order."""
    settled = pc.is_in(landed.column("status").cast(pa.string()), value_set=_FINAL)
    numbers = pa.repeat(pa.scalar(int(shard), pa.int32()), landed.num_rows)
    rows = pa.array(np.arange(landed.num_rows, dtype=np.int32))
    return pa.table([landed.column("id"), numbers, rows, settled], schema=INDEX)


def merged(tables: Sequence[pa.Table]) -> pa.Table:
    """Merge entries, sorted by the heads of their ids."""
    table = pa.concat_tables(tables).combine_chunks()
    return table.take(
        pa.array(np.argsort(heads(words(table.column("id"))), kind="stable"))
    )


def to_metadata(covered: Mapping[Shard, Whose]) -> dict[bytes, bytes]:
    """Name the shards that an index covers, in its own metadata."""
    return {
        METADATA: msgspec.json.encode([[shard, *of] for shard, of in covered.items()])
    }


def from_metadata(raw: bytes) -> dict[Shard, Whose]:
    """Read which shards an index covers."""
    return {Shard(shard): Whose(*of) for shard, *of in msgspec.json.decode(raw)}


def name(shards: Sequence[Shard]) -> str:
    """Name a set of shards: 12 hex digits."""
    return hashlib.sha256(",".join(shards).encode()).hexdigest()[:12]
