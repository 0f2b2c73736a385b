"""A warehouse in DuckDB: Arrow goes in as it is, nested columns too."""

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
            with suppress(
                duckdb.TransactionException
            ):  # a commit that failed has ended the transaction itself
                self.connection.rollback()
            if isinstance(error, duckdb.Error):
                raise _told(error) from None
            raise

    def columns(self, table: str) -> dict[str, str]:
        schema, _, name = table.rpartition(".")
        found = self.connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE lower(table_name) = lower($name) AND "
            "(($schema = '' AND database_name = 'temp') OR (database_name = current_database() "
            "AND schema_name = coalesce(nullif($schema, ''), current_schema()))) ORDER BY column_index",
            {"name": name, "schema": schema},
        ).fetchall()
        return {
            column: kind if "STRUCT(" in kind else kind.lower()
            for column, kind in found
        }

    def stage(self, rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
        failures = list[Exception]()
        reader = pa.RecordBatchReader.from_batches(schema, _kept(rows, failures))
        self.connection.register("_nightbatch_rows", reader)
        try:
            made = self.connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {STAGED} AS FROM _nightbatch_rows"
            )
            return int((made.fetchone() or [0])[0])
        except duckdb.Error:
            if failures:  # it was the reading that failed, of which DuckDB says it in its own words
                raise failures[0] from None
            raise
        finally:
            self.connection.unregister("_nightbatch_rows")

    def run(self, statement: Statement) -> int:
        answer = self.connection.execute(
            statement.sql.replace(HOLE, "?"), list(statement.values)
        ).fetchone()
        return int(answer[0]) if answer else 0


def _kept(
    rows: Iterable[pa.RecordBatch], failures: list[Exception]
) -> Iterator[pa.RecordBatch]:
    try:
        yield from rows
    except Exception as error:
        failures.append(error)
        raise


def _told(error: duckdb.Error) -> WarehouseRefused:
    kind = type(error).__name__
    if type(error) in SHOWN:
        return WarehouseRefused(f"DuckDB: {kind}: {printable(str(error))}")
    return WarehouseRefused(
        f"DuckDB: {kind}. Its own words may quote rows, so they are not shown."
    )
