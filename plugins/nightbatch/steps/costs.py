"""The cost table under a state: written when a shard lands, completed where that was cut short, read for caps."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow.parquet as pq

from nightbatch.core import costs, keys
from nightbatch.core.facts import LandedFact
from nightbatch.core.ids import Shard
from nightbatch.steps import sheets
from nightbatch.steps.ledger import Ledger

Row = dict[str, Any]


def write(ledger: Ledger, fact: LandedFact) -> None:
    """Write the row of a landed shard; once, since it follows from the fact alone."""
    out = io.BytesIO()
    pq.write_table(costs.table(fact), out, compression="zstd")
    ledger.store.create(keys.cost(fact.shard), out.getvalue())


def complete(ledger: Ledger, landed: list[Shard]) -> None:
    """Write the rows of landed shards that have none yet."""
    written = {keys.shard_of(entry.key) for entry in ledger.store.list(keys.COSTS)}
    for shard in landed:
        if shard not in written and (fact := ledger.landed(shard)) is not None:
            write(ledger, fact)


def newest_first(ledger: Ledger, *, since: datetime | None = None) -> Iterator[Row]:
    """Read the rows, newest first, as far back as the batches that were created at `since`."""
    for key in sorted((entry.key for entry in ledger.store.list(keys.COSTS)), reverse=True):
        found: Row = sheets.table(ledger.store, key).to_pylist()[0]
        if since is not None and found["created_at"] < since:
            return
        yield found
