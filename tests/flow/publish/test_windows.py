"""A partition is published window by window as it would be at once: the same rows, the same costs, the same report."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.support.nights.flow import SOURCE, TARGET, Flow, put, rows, settings
from tests.support.nights.memory import MemoryWorld

from nightbatch.ledger import keys
from nightbatch.ports import Store
from nightbatch.spec.run import Run
from nightbatch.spec.run_ref import RunRef

DISTINCT = [f"text {number}" for number in range(9)]
REPEATING = [f"text {number % 5}" for number in range(12)]


def cut(state: Store, ref: RunRef, size: int) -> RunRef:
    """Make parts of so many rows of a snapshot's one part, as if it had been staged so."""
    run = Run.from_json(state.get(keys.run(ref.snapshot)))
    whole = {
        name: state.get(key(run.snapshot, 0))
        for name, key in (("rows", keys.rows), ("asks", keys.requests))
    }
    table, asks = (pq.read_table(io.BytesIO(whole[name])) for name in ("rows", "asks"))
    state.remove(
        [
            keys.rows(run.snapshot, 0),
            keys.requests(run.snapshot, 0),
            keys.run(run.snapshot),
        ]
    )
    parts = requests = 0
    for start in range(0, table.num_rows, size):
        piece = table.slice(start, size)
        wanted = pc.unique(piece.column("_request"))
        numbers = pc.index_in(piece.column("_request"), value_set=wanted)
        piece = piece.set_column(
            piece.schema.get_field_index("_request"), "_request", numbers
        )
        for key, part in ((keys.rows, piece), (keys.requests, asks.take(wanted))):
            put(state, key(run.snapshot, parts), part)
        parts, requests = parts + 1, requests + len(wanted)
    state.create(
        keys.run(run.snapshot), replace(run, parts=parts, requests=requests).to_json()
    )
    return replace(ref, requests=requests)


def night(
    world: MemoryWorld, texts: list[str], size: int | None, number: int = 1
) -> tuple[pa.Table, dict[str, Any]]:
    """Run one night over `dt=1`, in parts of so many rows; return the partition and its report."""
    put(world.store(SOURCE), f"dt=1/part-{number}.parquet", rows(texts))
    flow = Flow(world, settings(max_batch_requests=4), f"dag/{number}")
    ref = flow.prepare()
    ref = ref if size is None else cut(flow.ledger.store, ref, size)
    for planned in flow.plan(ref):
        flow.wait(flow.submit(planned.shard))
        flow.land(planned.shard)
    report = {
        name: value for name, value in flow.publish(ref).items() if name != "seconds"
    }
    target = world.store(TARGET)
    files = [
        entry.key for entry in target.list("dt=1/") if entry.key.endswith(".parquet")
    ]
    return pa.concat_tables(
        pq.read_table(io.BytesIO(target.get(name))) for name in sorted(files)
    ), report


@pytest.mark.parametrize("texts", [DISTINCT, REPEATING])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_windows_publish_what_one_window_does(texts: list[str], size: int) -> None:
    table, report = night(MemoryWorld(), texts, None)
    in_windows, told = night(MemoryWorld(), texts, size)
    assert in_windows.to_pylist() == table.to_pylist()
    assert told == report
    assert report["rows"] == len(texts)
    assert report["bought"] == len(set(texts))


@pytest.mark.parametrize("size", [None, 2])
def test_what_was_paid_for_rows_that_are_gone_is_the_other_cost_of_the_partition(
    size: int | None,
) -> None:
    world = MemoryWorld()
    first, _ = night(world, DISTINCT, size)
    paid = sum(first["_cost_usd"].to_pylist())
    world.store(SOURCE).remove(["dt=1/part-1.parquet"])
    second, report = night(world, ["another", *DISTINCT[:5]], size, number=2)
    assert report["bought"] == 1
    row_cost = paid / len(DISTINCT)
    costs = second["_cost_usd"].to_pylist()
    assert costs == pytest.approx([row_cost] * len(costs))
    assert report["other_cost_usd"] == pytest.approx(
        paid + row_cost - len(costs) * row_cost
    )


def test_an_empty_partition_is_one_file_without_rows() -> None:
    table, report = night(MemoryWorld(), [], None)
    assert (table.num_rows, report["rows"]) == (0, 0)
    assert "_status" in table.column_names
