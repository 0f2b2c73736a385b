"""The cost table: one row a batch, for SQL. A row follows from a landed fact alone and can be written at any time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.columnar import parquet
from nightbatch.ids import Shard
from nightbatch.ledger import keys
from nightbatch.ledger.facts import LandedFact
from nightbatch.ledger.ledger import Ledger
from nightbatch.messages.outcome import SETTLED, Status
from nightbatch.messages.usage import TOKENS
from nightbatch.money.prices import SERVER_TOOLS

USD = pa.decimal128(28, 12)
SETTLED_COLUMNS = [status for status in Status if status in SETTLED]
TOKEN_COLUMNS = {name: f"{name}_tokens" for name in TOKENS}
TOOL_COLUMNS = {name: f"{name}_requests" for name in SERVER_TOOLS}

COSTS = pa.schema(
    [
        pa.field("month", pa.string()),
        pa.field("created_at", pa.timestamp("us", "UTC")),
        *(
            pa.field(name, pa.string())
            for name in ("target", "partition", "run", "snapshot", "question", "model")
        ),
        *(pa.field(name, pa.string()) for name in ("shard", "batch_id")),
        pa.field("attempt", pa.int32()),
        *(
            pa.field(name, pa.int64())
            for name in ("requests", *map(str, SETTLED_COLUMNS), "lost", "missing")
        ),
        *(pa.field(name, pa.int64()) for name in ("billed", "full_price")),
        *(pa.field(name, pa.int64()) for name in TOKEN_COLUMNS.values()),
        *(pa.field(name, pa.int64()) for name in TOOL_COLUMNS.values()),
        pa.field("unknown_usage", pa.bool_()),
        pa.field("longest_output_tokens", pa.int64()),
        pa.field("bytes", pa.int64()),
        *(
            pa.field(f"{name}_usd", USD)
            for name in ("estimated", "at_most", "cost", "saved_batch", "saved_cache")
        ),
    ]
)
"""`month` is that of the batch's creation, UTC, such as 2026-11. Costs of an unknown price are null. `lost` counts the
requests to be asked again; of these, `missing` had no result in their batch, so it is not known whether they were
billed."""

Row = dict[str, Any]
"""One row of the cost table, by column."""


def row(fact: LandedFact) -> Row:
    """Make the row of a landed shard."""
    claim = fact.claim
    created_at = fact.created_at or claim.created_at
    created_at_utc = created_at.astimezone(UTC)
    return {
        "month": month(created_at_utc),
        "created_at": created_at_utc,
        "target": claim.target,
        "partition": claim.partition,
        "run": claim.buyer,
        "snapshot": claim.snapshot,
        "question": claim.question,
        "model": claim.model,
        "shard": fact.shard,
        "batch_id": fact.batch,
        "attempt": claim.attempt,
        **_request_counts(fact),
        **_usage(fact),
        "bytes": claim.size,
        **_amounts(fact),
    }


def _request_counts(fact: LandedFact) -> Row:
    """Count the requests of a shard by what became of them."""
    settled_counts = {str(status): _count(fact, status) for status in SETTLED_COLUMNS}
    settled_count = sum(settled_counts.values())
    missing_count = _count(fact, Status.MISSING)
    request_count = fact.claim.total
    return {
        "requests": request_count,
        **settled_counts,
        "lost": request_count - settled_count,
        "missing": missing_count if fact.batch else 0,
        "billed": fact.billed,
        "full_price": fact.full_price,
    }


def _usage(fact: LandedFact) -> Row:
    """Name what the requests of a shard have used."""
    token_counts = {
        column: fact.tokens.get(name, 0) for name, column in TOKEN_COLUMNS.items()
    }
    tool_counts = {
        column: fact.server_tools.get(name, 0) for name, column in TOOL_COLUMNS.items()
    }
    return {
        **token_counts,
        **tool_counts,
        "unknown_usage": fact.unknown_usage,
        "longest_output_tokens": fact.longest,
    }


def _amounts(fact: LandedFact) -> Row:
    """Name what a shard was expected to cost, has cost, and has saved, in US dollars."""
    claim = fact.claim
    paid = amount(fact.cost_usd)
    return {
        "estimated_usd": amount(claim.estimated_usd),
        "at_most_usd": amount(claim.at_most_usd),
        "cost_usd": paid,
        "saved_batch_usd": saved(fact.standard_usd, paid),
        "saved_cache_usd": saved(fact.uncached_usd, paid),
    }


def _count(fact: LandedFact, status: Status) -> int:
    return fact.statuses.get(str(status), 0)


def table(fact: LandedFact) -> pa.Table:
    """Make the file of a landed shard."""
    return pa.Table.from_pylist([row(fact)], schema=COSTS)


def month(moment: datetime) -> str:
    """Name the calendar month of a moment, UTC."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def amount(text: str | None) -> Decimal | None:
    """Read an amount of a fact."""
    return None if text is None else Decimal(text)


def saved(full_usd: str | None, paid: Decimal | None) -> Decimal | None:
    """Subtract what was paid from a full price in a fact; None if one of them is unknown."""
    if full_usd is None or paid is None:
        return None
    return Decimal(full_usd) - paid


def write(ledger: Ledger, fact: LandedFact) -> None:
    """Write the row of a landed shard; once, since it follows from the fact alone."""
    output = io.BytesIO()
    pq.write_table(table(fact), output, compression="zstd")
    ledger.store.create(keys.cost(fact.shard), output.getvalue())


def complete(ledger: Ledger, landed: list[Shard]) -> None:
    """Write the rows of landed shards that have none yet."""
    written_shards = set(ledger.shards_in(keys.COSTS))
    for shard in landed:
        if shard in written_shards:
            continue
        fact = ledger.landed(shard)
        if fact is not None:
            write(ledger, fact)


def newest_first(ledger: Ledger, *, since: datetime | None = None) -> Iterator[Row]:
    """Read the rows, newest first, as far back as the batches that were created at `since`."""
    cost_entries = ledger.store.list(keys.COSTS)
    cost_keys = [entry.key for entry in cost_entries]
    cost_keys.sort(reverse=True)
    for cost_key in cost_keys:
        cost_file = parquet.whole(ledger.store, cost_key)
        cost_row: Row = cost_file.to_pylist()[0]
        if since is not None and cost_row["created_at"] < since:
            return
        yield cost_row
