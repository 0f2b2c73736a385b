"""The plan's difference against a long history: generated ids in indexes, as `compact` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from folder import FolderStore

from nightbatch.core import index, keys, pending
from nightbatch.core.staging import ID
from nightbatch.steps import sheets
from nightbatch.steps.history import BATCH_ROWS, history

SHARD, VOLUME = 100_000, 2_000_000


def warm() -> None:
    """Nothing is imported late."""


def ids(start: int, count: int) -> pa.Array:
    """Generate ids that no other start gives."""
    raw = np.random.default_rng(start).bytes(20 * count)
    return pa.Array.from_buffers(ID, count, [None, pa.py_buffer(raw)])


def write(root: str, settled: int) -> int:
    """Write indexes over so many settled ids, a hundred thousand to a shard."""
    store = FolderStore(Path(root))
    for first in range(0, settled, VOLUME):
        shards = [keys.shard(number) for number in range(first // SHARD + 1, (first + VOLUME) // SHARD + 1)]
        tables = [
            pa.table(
                [ids(int(shard), SHARD), pa.repeat(pa.scalar(int(shard), pa.int32()), SHARD), pa.repeat(True, SHARD)],
                schema=index.INDEX,
            )
            for shard in shards
        ]
        key = keys.index(shards[0], shards[-1], index.name(shards))
        with sheets.Sheet(store, key, index.INDEX, plain=True) as sheet:
            merged = index.merged(tables)
            for start in range(0, merged.num_rows, BATCH_ROWS):
                sheet.write(merged.slice(start, BATCH_ROWS))
            sheet.close(index.to_metadata({shard: index.Whose("dag/run", "", "t", "p") for shard in shards}))
            sheet.commit()
    return settled


def difference(root: str, settled: int, asked: int) -> dict[str, Any]:
    """Take the difference of what is asked, half of it new, and everything settled."""
    store = FolderStore(Path(root))
    old = [ids(1 + number % (settled // SHARD), SHARD) for number in range(asked // 2 // SHARD)]
    new = [ids(10**9 + number, SHARD) for number in range(asked // 2 // SHARD)]
    table = pending.distinct(pa.table({"id": one}) for one in [*old, *new])
    past = history(store, [keys.shard(number) for number in range(1, settled // SHARD + 1)])
    left = pending.difference(table, (entries.column("id") for entries in past.entries(list(past.shards))))
    return {"asked": table.num_rows, "left": left.num_rows}
