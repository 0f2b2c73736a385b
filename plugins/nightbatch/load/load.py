"""Load: a published partition becomes rows of a warehouse table, in one transaction, reconciled with `_SUCCESS`.

Loading again gives the same table. What is published anew meanwhile is noticed, and nothing is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from nightbatch.columnar import parquet
from nightbatch.errors import Absent, NotReconciled, Republished, TargetError
from nightbatch.ledger.marker import decode
from nightbatch.load.loading import Loading
from nightbatch.load.statements import distinct, evolve, replacement, tally
from nightbatch.load.warehouse import STAGED, Warehouse, staged_rows, staged_schema
from nightbatch.ports import Reads
from nightbatch.spec import locations
from nightbatch.spec.locations import partition_path

BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Published:
    """What `_SUCCESS` says of a partition, and the marker's own bytes."""

    files: list[str]
    rows: int
    snapshot: str
    marker: bytes


def load(
    target: Reads, partition: str, loading: Loading, warehouse: Warehouse
) -> dict[str, Any]:
    """Load one partition and return what was done.

    Raises Republished where the partition is being replaced just now: try again. Raises NotReconciled, with the
    table as it was, where the rows are not as many as `_SUCCESS` says, and TargetError where types do not fit.
    """
    loading.check()
    partition = partition_path(partition)
    published = read_marker(target, partition)
    schema = staged_schema(_schema(target, published), partition)
    _require(schema, loading)
    with warehouse.transaction():
        staged = warehouse.stage(_rows(target, published, schema, partition), schema)
        _reconcile("files hold", staged, published)
        if loading.mode == "merge":
            _reconcile(
                "files, by different keys, hold",
                warehouse.run(distinct(loading)),
                published,
            )
        kinds = warehouse.columns(STAGED)
        present = warehouse.columns(loading.table)
        changes = evolve(loading.table, present, kinds)
        for statement in [*changes, *replacement(loading, partition, list(kinds))]:
            warehouse.run(statement)
        _reconcile(
            f"table {loading.table} holds",
            warehouse.run(tally(loading, partition)),
            published,
        )
        _unchanged(target, partition, published)
    added = [name for name in kinds if present and name not in present]
    return {
        "table": loading.table,
        "partition": partition,
        "rows": staged,
        "snapshot": published.snapshot,
        "added": added,
    }


def read_marker(target: Reads, partition: str) -> Published:
    """Read a partition's `_SUCCESS`."""
    folder = locations.folder(partition)
    key = folder + locations.SUCCESS
    try:
        body = target.get(key)
    except Absent:
        raise Republished(
            f"{key} is not there: the partition is not published, or is being replaced just now."
        ) from None
    marker = decode(body, folder)
    if marker is None:
        raise TargetError(
            f"{key} does not name files and rows: it is not one that nightbatch wrote."
        )
    return Published(marker.files, marker.rows, marker.snapshot, body)


def _schema(target: Reads, published: Published) -> pa.Schema:
    with _still_there():
        schema: pa.Schema = parquet.file(target, published.files[0]).schema_arrow
        return schema


def _rows(
    target: Reads, published: Published, schema: pa.Schema, partition: str
) -> Iterator[pa.RecordBatch]:
    with _still_there():
        for key in published.files:
            for batch in parquet.batches(target, key, None, BATCH_ROWS):
                yield staged_rows(batch, schema, partition)


@contextmanager
def _still_there() -> Iterator[None]:
    try:
        yield
    except Absent:
        raise Republished(
            "a file of the partition is gone: it is being replaced just now."
        ) from None


def _require(schema: pa.Schema, loading: Loading) -> None:
    if missing := [name for name in loading.key if name not in schema.names]:
        raise TargetError(
            f"key: {', '.join(missing)} is not a column of the published partition."
        )


def _reconcile(what: str, rows: int, published: Published) -> None:
    if rows != published.rows:
        raise NotReconciled(
            f"the {what} {rows} rows, but _SUCCESS says {published.rows}. Nothing was loaded."
        )


def _unchanged(target: Reads, partition: str, published: Published) -> None:
    if read_marker(target, partition).marker != published.marker:
        raise Republished(
            "the partition was published again while it was loaded: nothing was loaded, try again."
        )
