"""The source: which Parquet files a partition has, the one type of each column, and a stream of its rows.

The listing is taken before and compared after reading, by size and ETag, so that a snapshot never mixes two inputs.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.columnar import parquet
from nightbatch.errors import (
    Absent,
    InputError,
    SourceError,
    SourceMoving,
    StoreError,
    Unreadable,
)
from nightbatch.ports import Entry, Reads, Store
from nightbatch.prepare.stager import unify
from nightbatch.spec.locations import is_data_file
from nightbatch.template.template import Template

BATCH_ROWS, BATCH_BYTES = 8_192, 4 * 1024 * 1024
AHEAD, SMALL = 8, 4 * 1024 * 1024
_NETWORK = ("AWS Error", "curlCode", "NETWORK_CONNECTION", "timed out")
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Source:
    """The files of a partition as they were listed, and the columns wanted of them."""

    store: Reads
    files: list[Entry]
    schema: pa.Schema


def parquet_files(source: Store, partition: str) -> tuple[list[Entry], list[Entry]]:
    """List the partition's Parquet files, and the files that tell its schema (those, or another partition's)."""
    folder = partition.strip("/") + "/" if partition.strip("/") else ""
    listed = list(source.list(folder))
    files = [entry for entry in listed if is_data_file(entry.key)]
    if files:
        return files, files
    if not listed:
        raise SourceError(
            f"source: there is nothing below {source.url}{folder}. Check source and partition."
        )
    others = (
        [entry for entry in source.list("") if is_data_file(entry.key)]
        if folder
        else []
    )
    if not others:
        raise SourceError(
            f"source: {source.url}{folder} holds {len(listed)} objects, but no Parquet file."
        )
    return [], others[-1:]


def common_schema(
    source: Reads, files: Sequence[Entry], template: Template, columns: Sequence[str]
) -> pa.Schema:
    """Find the one type of each wanted column over all files; the columns' own order is kept."""
    merged: tuple[str, pa.Schema] | None = None
    for entry, opened in _opened(source, files):
        schema = _with_partition(opened.schema_arrow, entry.key)
        if twice := [name for name in columns if schema.names.count(name) > 1]:
            raise SourceError(
                f"column {', '.join(twice)} stands twice in {entry.key}: rename one of them."
            )
        template.check(schema)
        if missing := [name for name in columns if name not in schema.names]:
            raise SourceError(
                f"key/keep: {', '.join(missing)} is not a column of {entry.key}. It has: {', '.join(schema.names)}."
            )
        merged = (
            entry.key,
            unify(merged or (entry.key, schema), (entry.key, schema), columns),
        )
    assert merged is not None
    return merged[1]


def read(source: Source, limit: int | None) -> Iterator[pa.RecordBatch]:
    """Read the wanted columns of all files, in the order of their names; first comes a batch without rows."""
    left = limit
    yield pa.RecordBatch.from_pylist([], schema=source.schema)
    for entry, opened in _opened(source.store, source.files):
        names = [
            name for name in source.schema.names if name in opened.schema_arrow.names
        ]
        with _telling(entry.key):
            for batch in parquet.in_steps(opened, names, BATCH_ROWS, BATCH_BYTES):
                if left is not None and left <= 0:
                    return
                taken = batch if left is None else batch.slice(0, left)
                left = None if left is None else left - taken.num_rows
                yield _conform(taken, source.schema, entry.key)


def _opened(
    store: Reads, files: Sequence[Entry]
) -> Iterator[tuple[Entry, pq.ParquetFile]]:
    """Open files in their order, some ahead of their use: of many small ones, opening is all the time it takes."""
    with ThreadPoolExecutor(AHEAD, "open") as threads:
        opening, rest = deque[tuple[Entry, Future[pq.ParquetFile]]](), iter(files)
        for entry in rest:
            opening.append((entry, threads.submit(_open, store, entry)))
            if len(opening) >= AHEAD:
                break
        while opening:
            entry, future = opening.popleft()
            yield entry, future.result()
            if (following := next(rest, None)) is not None:
                opening.append((following, threads.submit(_open, store, following)))


def _open(store: Reads, entry: Entry) -> pq.ParquetFile:
    """Open a file; a small one is read whole at once."""
    with _telling(entry.key):
        if entry.size <= SMALL:
            return pq.ParquetFile(io.BytesIO(store.get(entry.key)), pre_buffer=False)
        return parquet.file(store, entry.key)


@contextmanager
def _telling(key: str) -> Iterator[None]:
    """Say that a file of the source cannot be read; Arrow's own words may quote values, so they are not repeated."""
    try:
        yield
    except Absent:
        raise SourceMoving(
            f"source: {key} was removed while it was read. Run again once it is still."
        ) from None
    except (pa.ArrowException, OSError, UnicodeDecodeError, Unreadable) as error:
        if any(word in str(error) for word in _NETWORK):
            raise StoreError(
                f"source: {key} could not be read just now ({type(error).__name__})."
            ) from None
        raise SourceError(
            f"source: {key} is no whole Parquet file, or is damaged: write it anew."
        ) from None


def _conform(batch: pa.RecordBatch, schema: pa.Schema, key: str) -> pa.RecordBatch:
    values = _partition_values(key)
    arrays = [
        batch.column(field.name).cast(field.type)
        if field.name in batch.schema.names
        else pa.array([values[field.name]] * batch.num_rows, pa.string())
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def check_unchanged(source: Store, partition: str, files: list[Entry]) -> None:
    """Raise SourceMoving if the partition is not as it was listed."""
    try:
        now, _ = parquet_files(source, partition)
    except InputError:
        now = []
    if now != files:
        changed = sorted({entry.key for entry in set(now) ^ set(files)})
        named = ", ".join(changed[:5])
        raise SourceMoving(
            f"source: {named} changed while it was read. Nothing was bought; run again once it is still."
        )


def _partition_values(key: str) -> dict[str, str | None]:
    """Read the columns that a Hive path holds, percent-decoded: `dt=2026-11-21/city=New%20York/part-0.parquet`."""
    pairs = (folder.split("=", 1) for folder in key.split("/")[:-1] if "=" in folder)
    return {
        unquote(name): None if value == HIVE_NULL else unquote(value)
        for name, value in pairs
    }


def _with_partition(schema: pa.Schema, key: str) -> pa.Schema:
    for name in _partition_values(key):
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.string()))
    return schema
