"""The port to a warehouse, four verbs, and the columns of the rows that are staged for a load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import pyarrow as pa

from nightbatch.columnar.constants import with_constants
from nightbatch.errors import TargetError
from nightbatch.spec.hive_columns import values_of

PARTITION = "_partition"
"""The column that holds the partition a row came from; loads replace rows by it."""
STAGED = "_nightbatch_staged"
"""The temporary table that holds the rows to load."""
LONGEST_NAME = 63
"""Bytes of a column's name."""
HOLE = "\0"
"""The placeholder for a value in a statement; each database has its own syntax for it."""


class Statement(NamedTuple):
    """A SQL statement, with a HOLE for each of its values."""

    sql: str
    values: Sequence[object] = ()


class Warehouse(Protocol):
    """A database with one transaction at a time."""

    def transaction(self) -> AbstractContextManager[None]:
        """Commit at the end of the block; an exception rolls everything back, tables and columns too."""

    def columns(self, table: str) -> dict[str, str]:
        """Return the type of each of the table's columns by name; empty if there is no such table."""

    def stage(self, rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
        """Replace the content of the temporary table STAGED; return how many rows it has."""

    def run(self, statement: Statement) -> int:
        """Run a statement; return the first value of its result, or 0 if it has none."""


def staged_schema(published: pa.Schema, partition: str) -> pa.Schema:
    """Return the columns to load: the published ones that have a type, those of the partition's path, and PARTITION."""
    if PARTITION in published.names:
        raise TargetError(
            f"column {PARTITION} is written by the load itself; rename the dataset's."
        )
    path_fields = [
        pa.field(name, value.type)
        for name, value in values_of(partition).items()
        if name not in published.names
    ]
    typed_fields = [
        field.remove_metadata()
        for field in [*published, *path_fields]
        if not pa.types.is_null(field.type)
    ]
    column_names = [field.name for field in typed_fields]
    _check_names(column_names)
    partition_field = pa.field(PARTITION, pa.string())
    return pa.schema([*typed_fields, partition_field])


def _check_names(column_names: list[str]) -> None:
    """Raise TargetError for names that are too long, and for names that differ only in case."""
    long_names = [name for name in column_names if len(name.encode()) > LONGEST_NAME]
    if long_names:
        raise TargetError(
            f"columns {', '.join(long_names)}: a warehouse takes names of at most {LONGEST_NAME} bytes."
        )
    twin_names = _twin_names(column_names)
    if twin_names:
        raise TargetError(
            f"columns {', '.join(twin_names)} differ only in case, if at all: rename one of them."
        )


def _twin_names(column_names: list[str]) -> list[str]:
    """Return the names that differ at most in case from another one."""
    name_counts = Counter(name.lower() for name in column_names)
    return [name for name in column_names if name_counts[name.lower()] > 1]


def staged_rows(
    rows: pa.RecordBatch, schema: pa.Schema, partition: str
) -> pa.RecordBatch:
    """Give published rows the columns of `staged_schema`."""
    path_values = values_of(partition)
    constants = {**path_values, PARTITION: pa.scalar(partition)}
    columns = with_constants(rows, schema.names, constants)
    return pa.RecordBatch.from_arrays(columns, schema=schema)
