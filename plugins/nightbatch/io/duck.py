"""A warehouse in DuckDB, which takes Arrow as it is, nested columns included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import duckdb
import pyarrow as pa

from nightbatch.errors import WarehouseRefused
from nightbatch.load.warehouse import HOLE, STAGED, Statement
from nightbatch.messages.safe_words import printable

SHOWN = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConnectionException,
    duckdb.DependencyException,
    duckdb.IOException,
    duckdb.NotImplementedException,
    duckdb.OutOfMemoryException,
    duckdb.ParserException,
    duckdb.PermissionException,
    duckdb.SyntaxException,
)
"""Errors whose words name objects, files or SQL, never values of rows; all others may quote them, a commit's too."""
COLUMN_TYPES = (
    "SELECT column_name, data_type FROM duckdb_columns() WHERE lower(table_name) = lower($name) AND "
    "(($schema = '' AND database_name = 'temp') OR (database_name = current_database() "
    "AND schema_name = coalesce(nullif($schema, ''), current_schema()))) ORDER BY column_index"
)


class DuckWarehouse:
    """The database behind an open DuckDB connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.connection.begin()
        try:
            yield
            self.connection.commit()
        except BaseException as error:
            # A commit that failed has ended the transaction itself.
            with suppress(duckdb.TransactionException):
                self.connection.rollback()
            if isinstance(error, duckdb.Error):
                raise _refusal(error) from None
            raise

    def columns(self, table: str) -> dict[str, str]:
        schema_name, _, table_name = table.rpartition(".")
        parameters = {"name": table_name, "schema": schema_name}
        cursor = self.connection.execute(COLUMN_TYPES, parameters)
        return {column: _type_name(kind) for column, kind in cursor.fetchall()}

    def stage(self, rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
        failures = list[Exception]()
        watched_rows = _noting_failure(rows, failures)
        row_reader = pa.RecordBatchReader.from_batches(schema, watched_rows)
        self.connection.register("_nightbatch_rows", row_reader)
        try:
            cursor = self.connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {STAGED} AS FROM _nightbatch_rows"
            )
            return _row_count(cursor)
        except duckdb.Error:
            if (
                failures
            ):  # reading the rows failed, which DuckDB reports in its own words
                raise failures[0] from None
            raise
        finally:
            self.connection.unregister("_nightbatch_rows")

    def run(self, statement: Statement) -> int:
        sql = statement.sql.replace(HOLE, "?")
        cursor = self.connection.execute(sql, list(statement.values))
        return _row_count(cursor)


def _type_name(kind: str) -> str:
    """Write a type in lower case, as PostgreSQL does, unless it holds names of fields."""
    return kind if "STRUCT(" in kind else kind.lower()


def _row_count(cursor: duckdb.DuckDBPyConnection) -> int:
    """Read how many rows a statement changed."""
    first_row = cursor.fetchone()
    return int(first_row[0]) if first_row else 0


def _noting_failure(
    rows: Iterable[pa.RecordBatch], failures: list[Exception]
) -> Iterator[pa.RecordBatch]:
    try:
        yield from rows
    except Exception as error:
        failures.append(error)
        raise


def _refusal(error: duckdb.Error) -> WarehouseRefused:
    error_name = type(error).__name__
    if type(error) in SHOWN:
        return WarehouseRefused(f"DuckDB: {error_name}: {printable(str(error))}")
    return WarehouseRefused(
        f"DuckDB: {error_name}. Its own words may quote rows, so they are not shown."
    )
