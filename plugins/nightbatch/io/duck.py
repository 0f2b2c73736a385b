"""A warehouse in DuckDB: Arrow goes in as it is, nested columns too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from nightbatch.core.warehouse import HOLE, STAGED, Statement

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class DuckWarehouse:
    """The database behind an open DuckDB connection."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self.connection = connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.connection.begin()
        try:
            yield
            self.connection.commit()
        except BaseException:
            self.connection.rollback()
            raise

    def columns(self, table: str) -> dict[str, str]:
        schema, _, name = table.rpartition(".")
        found = self.connection.execute(
            "SELECT column_name, lower(data_type) FROM duckdb_columns() WHERE lower(table_name) = lower($name) AND "
            "(($schema = '' AND database_name = 'temp') OR (database_name = current_database() "
            "AND schema_name = coalesce(nullif($schema, ''), current_schema()))) ORDER BY column_index",
            {"name": name, "schema": schema},
        ).fetchall()
        return dict(found)

    def stage(self, rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
        reader = pa.RecordBatchReader.from_batches(schema, rows)
        self.connection.register("_nightbatch_rows", reader)
        try:
            made = self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {STAGED} AS FROM _nightbatch_rows")
            return int((made.fetchone() or [0])[0])
        finally:
            self.connection.unregister("_nightbatch_rows")

    def run(self, statement: Statement) -> int:
        answer = self.connection.execute(statement.sql.replace(HOLE, "?"), list(statement.values)).fetchone()
        return int(answer[0]) if answer else 0
