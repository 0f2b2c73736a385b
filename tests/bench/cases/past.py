"""A long history: the plan's difference against many settled ids, and a partition whose answers took 365 nights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tests.bench.cases.ours import ledger, prepare_rows, ref, warm
from tests.bench.data import result_lines, write_narrow

from nightbatch.columnar import parquet
from nightbatch.columnar.id_lookup import ID
from nightbatch.ids import BatchId
from nightbatch.land.land import land
from nightbatch.ledger import keys
from nightbatch.ledger.facts import Bought, Claim
from nightbatch.ledger.history import index
from nightbatch.ledger.history.history import BATCH_ROWS, compact
from nightbatch.ledger.ledger import CLAIM
from nightbatch.plan.difference import Asker, take_difference
from nightbatch.ports import Batch
from nightbatch.prepare.encoding.schemas import REQUESTS
from nightbatch.prepare.snapshot import PART_ROWS
from nightbatch.prepare.staged import StagedRequests

__all__ = ["compact_nights", "difference", "settle", "spread_nights", "warm"]

SHARD, VOLUME = 100_000, 2_000_000
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def ids(start: int, count: int) -> pa.Array:
    """Generate ids that no other start gives."""
    raw = np.random.default_rng(start).bytes(20 * count)
    return pa.Array.from_buffers(ID, count, [None, pa.py_buffer(raw)])


def settle(root: str, settled: int) -> int:
    """Write indexes over so many settled ids, a hundred thousand to a shard, as `compact` writes them."""
    store = ledger(root).store
    for first in range(0, settled, VOLUME):
        shards = [
            keys.shard(number)
            for number in range(first // SHARD + 1, (first + VOLUME) // SHARD + 1)
        ]
        for shard in shards:
            store.create(keys.landed(shard), b"covered by an index")
        tables = [
            pa.table(
                [
                    ids(int(shard), SHARD),
                    pa.repeat(pa.scalar(int(shard), pa.int32()), SHARD),
                    pa.array(np.arange(SHARD, dtype=np.int32)),
                    pa.repeat(True, SHARD),
                ],
                schema=index.INDEX,
            )
            for shard in shards
        ]
        key = keys.index(shards[0], shards[-1], index.name(shards))
        with parquet.ParquetUpload(
            store, key, index.INDEX, parquet.GroupLayout(plain=True, ordered="id")
        ) as sheet:
            merged = index.merged(tables)
            for start in range(0, merged.num_rows, BATCH_ROWS):
                sheet.write(merged.slice(start, BATCH_ROWS))
            sheet.close(
                index.to_metadata(
                    {
                        shard: index.BoughtFor("dag/run", "", "t", "p")
                        for shard in shards
                    }
                )
            )
            sheet.commit()
    return settled


def ask(root: str, settled: int, asked: int) -> dict[str, Any]:
    """Stage so many requests, half of them new, the others among the settled."""
    store = ledger(root).store
    made = prepare_rows(str(write_narrow(Path(root) / "rows", 10)), root, narrow=True)
    run = ledger(root).run(made.snapshot)
    store.remove([keys.run(run.snapshot), keys.requests(run.snapshot, 0)])
    parts = 0
    for first in range(0, asked, SHARD):
        old = ids(1 + parts % (settled // SHARD), SHARD).slice(0, SHARD // 2)
        some = pa.concat_arrays([old, ids(10**9 + first, SHARD // 2)])
        contents = pa.repeat(pa.scalar(b'"boiler error"', pa.large_binary()), SHARD)
        rows = pa.table(
            [some, contents, pa.repeat(pa.scalar(14, pa.int32()), SHARD)],
            schema=REQUESTS,
        )
        with parquet.ParquetUpload(
            store, keys.requests(run.snapshot, parts), REQUESTS, parquet.PLAIN
        ) as sheet:
            sheet.write(rows)
            sheet.close()
            sheet.commit()
        parts += 1
    staged = replace(run, parts=parts, rows=asked, requests=asked)
    store.create(keys.run(run.snapshot), staged.to_json())
    return ref(staged).to_dict()


def difference(root: str, reference: dict[str, Any]) -> dict[str, Any]:
    """Take the difference of what is asked and everything settled, as a plan does."""
    made = ref(ledger(root).run(reference["snapshot"]))
    asker = Asker(made, ledger(root).run(made.snapshot), ledger(root))
    found = take_difference(asker)
    return {"asked": found.asked, "left": len(found.pending)}


def spread_nights(root: str, nights: int, rows: int) -> dict[str, Any]:
    """Stage a partition whose requests were answered in so many nights, each of another partition."""
    made = prepare_rows(str(write_narrow(Path(root) / "rows", rows)), root, narrow=True)
    state = ledger(root)
    run = state.run(made.snapshot)
    asked = StagedRequests(run, state.store)
    whole = pa.concat_arrays([asked.ids(part) for part in range(run.parts)])
    order = np.random.default_rng(5).permutation(len(whole))
    for night in range(nights):
        some = np.sort(order[night::nights])
        parts = pa.array((some // PART_ROWS).astype(np.int32))
        shard, batch = keys.shard(night + 1), BatchId(f"msgbatch_{night:04d}")
        claim = Claim(
            snapshot=run.snapshot, buyer=f"bench/{night}", scope="", target=run.target, partition=f"night={night}",
            attempt=1, total=len(some), size=1, created_at=THEN, token=batch, model=run.model, question=run.question,
        )  # fmt: skip
        state.write_claim(
            shard, claim, pa.table([whole.take(pa.array(some)), parts], schema=CLAIM)
        )
        state.write_batch(
            shard, Bought(batch=batch, created_at=THEN, total=len(some), how="created")
        )
        land(
            shard,
            state,
            Ended([one.hex() for one in whole.take(pa.array(some)).to_pylist()]),
        )  # type: ignore[arg-type]
    return made.to_dict()


def compact_nights(root: str) -> int:
    """Write the indexes."""
    state = ledger(root)
    return len(compact(state.store, state.view().landed))


class Ended:
    """An API that has one batch, which has ended."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def batch(self, batch: BatchId) -> Batch:
        return Batch(batch, THEN, ended=True, counts={"succeeded": len(self._names)})

    @contextmanager
    def results(self, _: BatchId) -> Iterator[Iterator[bytes]]:
        yield result_lines(self._names, narrow=True)
