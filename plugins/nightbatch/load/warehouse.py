"""A warehouse as a load sees it: a port of four verbs, where a dataset goes in it, and the columns that are staged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import pyarrow as pa

from nightbatch.errors import TargetError
from nightbatch.spec.locations import values_of

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


def staged_schema(published: pa.Schema, partition: str) -> pa.Schema:
    """Return the columns to be loaded: the published ones that have a type, those of the path, and PARTITION."""
    if PARTITION in published.names:
        raise TargetError(
            f"column {PARTITION} is written by the load itself; rename the dataset's."
        )
    path = [
        pa.field(name, value.type)
        for name, value in values_of(partition).items()
        if name not in published.names
    ]
    typed = [
        field.remove_metadata()
        for field in [*published, *path]
        if not pa.types.is_null(field.type)
    ]
    if long := [
        field.name for field in typed if len(field.name.encode()) > LONGEST_NAME
    ]:
        raise TargetError(
            f"columns {', '.join(long)}: a warehouse takes names of at most {LONGEST_NAME} bytes."
        )
    spelt = Counter(field.name.lower() for field in typed)
    if twins := [field.name for field in typed if spelt[field.name.lower()] > 1]:
        raise TargetError(
            f"columns {', '.join(twins)} differ only in case, if at all: rename one of them."
        )
    return pa.schema([*typed, pa.field(PARTITION, pa.string())])


def staged_rows(
    rows: pa.RecordBatch, schema: pa.Schema, partition: str
) -> pa.RecordBatch:
    """Give published rows the columns of `staged_schema`."""
    constants = {**values_of(partition), PARTITION: pa.scalar(partition)}
    own = set(rows.schema.names)
    arrays = [
        rows.column(field.name)
        if field.name in own
        else pa.repeat(constants[field.name], rows.num_rows)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
