"""A warehouse as a load sees it: a port of four verbs, where a dataset goes in it, and the columns that are staged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import NamedTuple, Protocol
from urllib.parse import unquote

import pyarrow as pa

from nightbatch.core.errors import TargetError

PARTITION = "_partition"
"""The column that says which partition a row came from; loads replace by it."""
STAGED = "_nightbatch_staged"
LONGEST_NAME = 63

HOLE = "\0"
"""Where a value goes in a statement; each database has its own mark for it."""


class Statement(NamedTuple):
    """A statement, with a HOLE for each of its values."""

    sql: str
    values: Sequence[object] = ()


class Warehouse(Protocol):
    """A database in one transaction at a time."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commit at the end of the block; an exception rolls everything back, tables and columns too."""

    def columns(self, table: str) -> dict[str, str]:
        """Name the table's columns and their types; empty where there is no such table."""

    def stage(self, rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
        """Fill a temporary table STAGED, in place of what it held; return how many rows it has."""

    def run(self, statement: Statement) -> int:
        """Run a statement; return the first value of its result, or 0 where it has none."""


def values_of(partition: str) -> dict[str, pa.Scalar]:
    """Read the columns that a Hive path holds: `dt=2026-11-21` is a date, any other value a text, percent-decoded."""
    pairs = dict(folder.split("=", 1) for folder in partition.strip("/").split("/") if "=" in folder)
    return {unquote(name): _typed(unquote(value)) for name, value in pairs.items()}


def _typed(value: str) -> pa.Scalar:
    if value == "__HIVE_DEFAULT_PARTITION__":
        return pa.scalar(None)
    try:
        return pa.scalar(date.fromisoformat(value) if len(value) == 10 else value)
    except ValueError:
        return pa.scalar(value)


def staged_schema(published: pa.Schema, partition: str) -> pa.Schema:
    """Return the columns to be loaded: the published ones that have a type, those of the path, and PARTITION."""
    if PARTITION in published.names:
        raise TargetError(f"column {PARTITION} is written by the load itself; rename the dataset's.")
    path = [pa.field(name, value.type) for name, value in values_of(partition).items() if name not in published.names]
    typed = [field.remove_metadata() for field in [*published, *path] if not pa.types.is_null(field.type)]
    if long := [field.name for field in typed if len(field.name.encode()) > LONGEST_NAME]:
        raise TargetError(f"columns {', '.join(long)}: a warehouse takes names of at most {LONGEST_NAME} bytes.")
    spelt = Counter(field.name.lower() for field in typed)
    if twins := [field.name for field in typed if spelt[field.name.lower()] > 1]:
        raise TargetError(f"columns {', '.join(twins)} differ only in case, if at all: rename one of them.")
    return pa.schema([*typed, pa.field(PARTITION, pa.string())])


def with_path(schema: pa.Schema, partition: str) -> pa.Schema:
    """Add the columns of a partition's path that a schema does not have."""
    values = values_of(partition)
    return pa.schema([*schema, *(pa.field(name, values[name].type) for name in values if name not in schema.names)])


def filled(rows: pa.RecordBatch, schema: pa.Schema, partition: str) -> pa.RecordBatch:
    """Give rows the columns of a schema: their own, in its types, and those of a partition's path."""
    values, own = values_of(partition), set(rows.schema.names)
    arrays = [
        rows.column(field.name) if field.name in own else pa.repeat(values[field.name], rows.num_rows)
        for field in schema
    ]
    cast = [array.cast(field.type, safe=False) for array, field in zip(arrays, schema, strict=True)]
    return pa.RecordBatch.from_arrays(cast, schema=schema)


def staged_rows(rows: pa.RecordBatch, schema: pa.Schema, partition: str) -> pa.RecordBatch:
    """Give published rows the columns of `staged_schema`."""
    constants = {**values_of(partition), PARTITION: pa.scalar(partition)}
    own = set(rows.schema.names)
    arrays = [
        rows.column(field.name) if field.name in own else pa.repeat(constants[field.name], rows.num_rows)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
