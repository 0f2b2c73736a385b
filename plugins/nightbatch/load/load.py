"""Load: a published partition becomes rows of a warehouse table, in one transaction, reconciled with `_SUCCESS`.

Loading again gives the same table. If the partition is republished while it loads, nothing is loaded.
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
    """The content of a partition's `_SUCCESS`. `marker`: its bytes as stored."""

    files: list[str]
    rows: int
    snapshot: str
    marker: bytes


def load(
    target: Reads, partition: str, loading: Loading, warehouse: Warehouse
) -> dict[str, Any]:
    """Load one partition and return a summary.

    Raises Republished if the partition is being replaced right now: try again. Raises NotReconciled, with the
    table unchanged, if the row count differs from `_SUCCESS`, and TargetError if types do not fit.
    """
    loading.check()
    partition = partition_path(partition)
    published = read_marker(target, partition)
    published_schema = _schema(target, published)
    schema = staged_schema(published_schema, partition)
    _require(schema, loading)
    with warehouse.transaction():
        published_rows = _rows(target, published, schema, partition)
        staged_count = warehouse.stage(published_rows, schema)
        _reconcile("files hold", staged_count, published)
        if loading.mode == "merge":
            count_keys = distinct(loading)
            key_count = warehouse.run(count_keys)
            _reconcile("files, by different keys, hold", key_count, published)
        added_columns = _replace_rows(warehouse, loading, partition)
        count_rows = tally(loading, partition)
        loaded_count = warehouse.run(count_rows)
        _reconcile(f"table {loading.table} holds", loaded_count, published)
        _unchanged(target, partition, published)
    return {
        "table": loading.table,
        "partition": partition,
        "rows": staged_count,
        "snapshot": published.snapshot,
        "added": added_columns,
    }


def _replace_rows(warehouse: Warehouse, loading: Loading, partition: str) -> list[str]:
    """Make the table fit the staged rows, and put them into it; return the columns that an existing table gained."""
    staged_types = warehouse.columns(STAGED)
    table_types = warehouse.columns(loading.table)
    changes = evolve(loading.table, table_types, staged_types)
    replacements = replacement(loading, partition, list(staged_types))
    for statement in [*changes, *replacements]:
        warehouse.run(statement)
    if not table_types:
        return []
    return [name for name in staged_types if name not in table_types]


def read_marker(target: Reads, partition: str) -> Published:
    """Read a partition's `_SUCCESS`."""
    folder = locations.folder(partition)
    key = folder + locations.SUCCESS
    try:
        body = target.get(key)
    except Absent:
        raise Republished(
            f"{key} does not exist: the partition is not published, or is being replaced at the moment."
        ) from None
    marker = decode(body, folder)
    if marker is None:
        raise TargetError(
            f"{key} does not name files and rows: nightbatch did not write it."
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
            published_batches = parquet.batches(target, key, None, BATCH_ROWS)
            for batch in published_batches:
                yield staged_rows(batch, schema, partition)


@contextmanager
def _still_there() -> Iterator[None]:
    try:
        yield
    except Absent:
        raise Republished(
            "a file of the partition is gone: it is being replaced at the moment."
        ) from None


def _require(schema: pa.Schema, loading: Loading) -> None:
    missing_names = [name for name in loading.key if name not in schema.names]
    if missing_names:
        raise TargetError(
            f"key: {', '.join(missing_names)} is not a column of the published partition."
        )


def _reconcile(counted: str, row_count: int, published: Published) -> None:
    if row_count != published.rows:
        raise NotReconciled(
            f"the {counted} {row_count} rows, but _SUCCESS says {published.rows}. Nothing was loaded."
        )


def _unchanged(target: Reads, partition: str, published: Published) -> None:
    present_marker = read_marker(target, partition)
    if present_marker.marker != published.marker:
        raise Republished(
            "the partition was published again while it was loaded: nothing was loaded, try again."
        )
