"""The statements for other warehouses fit what is published, and replace a partition; no such warehouse is here.

They are parsed in their own dialects. What DuckDB can run of them after translation, it runs; in the place of the
vendors' own loading (COPY, LOAD DATA) it reads the files.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from sqlglot import exp

from nightbatch.local.stack.settings import PROJECT
from nightbatch.messages.answer_type import AnswerType
from nightbatch.spec.published_columns import OURS

SQL = PROJECT / "include" / "sql"
WAREHOUSES = ("snowflake", "bigquery", "redshift", "athena", "trino")
KINDS: Mapping[pa.DataType, set[str]] = {
    pa.string(): {"TEXT"}, pa.int64(): {"BIGINT", "DECIMAL"}, pa.bool_(): {"BOOLEAN"},
    pa.float64(): {"DOUBLE"}, pa.date32(): {"DATE", "TEXT"},
}  # fmt: skip
"""By which names, in DuckDB's dialect, a column of a type may be declared."""


def published() -> pa.Schema:
    """Return the columns of the files that the nightly DAG publishes."""
    spec = importlib.util.spec_from_file_location(
        "triage_dag", PROJECT / "dags" / "ticket_triage.py"
    )
    assert spec is not None
    assert spec.loader is not None
    dag = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dag)
    return pa.schema(
        [
            pa.field("ticket_id", pa.string()),
            *AnswerType(dag.triage.schema).fields,
            *OURS,
        ]
    )


@pytest.fixture(scope="module")
def schema() -> pa.Schema:
    return published()


def statements(warehouse: str) -> list[exp.Expr]:
    """Parse a warehouse's statements."""
    parsed = sqlglot.parse((SQL / f"{warehouse}.sql").read_text(), dialect=warehouse)
    return [statement for statement in parsed if statement is not None]


def declared(create: exp.Expr) -> dict[str, str]:
    """Name the declared columns, those of the partition too, and their types as DuckDB calls them, without lengths."""
    columns = create.find_all(exp.ColumnDef)
    return {
        column.name: column.kind.sql("duckdb").split("(")[0]
        for column in columns
        if column.kind is not None
    }


@pytest.mark.parametrize("warehouse", WAREHOUSES)
def test_the_table_has_the_published_columns_in_their_order_and_the_date(
    warehouse: str, schema: pa.Schema
) -> None:
    create = statements(warehouse)[0]
    assert isinstance(create, exp.Create)
    found = declared(create)
    assert list(found) == [*schema.names, "dt"]
    for field in [*schema, pa.field("dt", pa.date32())]:
        assert found[field.name] in KINDS[field.type], field.name


def test_snowflake_copies_each_column_into_the_one_of_its_name(
    schema: pa.Schema,
) -> None:
    (copy,) = (
        statement
        for statement in statements("snowflake")
        if isinstance(statement, exp.Copy)
    )
    into = [column.name for column in copy.this.expressions]
    (select,) = copy.find_all(exp.Select)
    taken = [path.name for path in select.find_all(exp.JSONPathKey)]
    assert into == [*taken, "dt"] == [*schema.names, "dt"]
    assert select.expressions[-1].sql("duckdb") == "CAST('2026-11-21' AS DATE)"


@pytest.mark.parametrize("warehouse", ["bigquery", "redshift"])
def test_the_statements_replace_a_partition_and_no_other(
    warehouse: str, schema: pa.Schema, tmp_path: Path
) -> None:
    rows = pa.table(
        {
            f.name: [f"{f.name} {n}" if f.type == pa.string() else None for n in (1, 2)]
            for f in schema
        }
    )
    pq.write_table(rows.cast(schema), tmp_path / "part-00000.parquet")
    with duckdb.connect() as database:
        database.execute("CREATE SCHEMA analytics")
        for _ in range(2):
            run(database, warehouse, tmp_path)
            table = (
                "analytics.ticket_triage"
                if warehouse == "bigquery"
                else "ticket_triage"
            )
            database.execute(f"INSERT INTO {table} (ticket_id, dt) SELECT 'other', DATE '2026-11-20' WHERE NOT EXISTS "
                             f"(FROM {table} WHERE ticket_id = 'other')")  # fmt: skip
        found = database.execute(
            f"SELECT ticket_id, _status, dt::VARCHAR FROM {table} ORDER BY ALL"
        ).fetchall()
    assert found == [
        ("other", None, "2026-11-20"),
        *((f"ticket_id {n}", f"_status {n}", "2026-11-21") for n in (1, 2)),
    ]


def run(database: duckdb.DuckDBPyConnection, warehouse: str, files: Path) -> None:
    """Run the statements, reading the files where the warehouse would load them."""
    read = f"FROM read_parquet('{files}/part-*.parquet')"
    for statement in statements(warehouse):
        if isinstance(statement, exp.Copy):
            database.execute(f"INSERT INTO {statement.this.sql('duckdb')} {read}")
        elif isinstance(statement, exp.LoadData):
            database.execute(
                f"CREATE OR REPLACE TABLE {statement.this.sql('duckdb')} AS {read}"
            )
        else:
            database.execute(statement.sql("duckdb", comments=False))
