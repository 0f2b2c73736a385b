"""What a warehouse says is shown only where it can hold no value of a row."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from tests.support.servers import postgres

from nightbatch.errors import WarehouseRefused
from nightbatch.io.duck import DuckWarehouse
from nightbatch.io.iceberg import IcebergTable
from nightbatch.io.postgres import PostgresWarehouse
from nightbatch.load.warehouse import Statement
from nightbatch.local.cluster.servers import Server, connect_postgres

SECRET = "SECRETVALUE"
TABLE = "CREATE TABLE guarded (id integer, name text, CONSTRAINT short CHECK (length(name) < 100))"


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[Server]:
    """Run a PostgreSQL."""
    with postgres.running() as server:
        yield server


@pytest.fixture
def house(postgres_server: Server) -> Iterator[PostgresWarehouse]:
    """Open a warehouse with a guarded table."""
    connection = connect_postgres(postgres_server)
    warehouse = PostgresWarehouse(connection)
    with warehouse.transaction():
        warehouse.run(Statement("DROP TABLE IF EXISTS guarded"))
        warehouse.run(Statement(TABLE))
    yield warehouse
    connection.close()


def raising(house: PostgresWarehouse, body: str) -> None:
    """Guard the table by a trigger."""
    function = f"CREATE OR REPLACE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"
    with house.transaction():
        house.run(Statement(function))
        house.run(
            Statement(
                "CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION guard()"
            )
        )


def refused(house: Any, sql: str) -> str:
    """Return what is raised for a statement, with its whole trace."""
    with pytest.raises(WarehouseRefused) as raised, house.transaction():
        house.run(Statement(sql))
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    return str(raised.value)


INSERT = f"INSERT INTO guarded VALUES (1, '{SECRET}')"


@pytest.mark.parametrize(
    "code", ["ZZ001", "P0001", "22000", "23505", "42501", "40001", "08006", "JANE1"]
)
def test_what_a_trigger_raises_is_not_shown_whatever_its_code(
    house: PostgresWarehouse, code: str
) -> None:
    raising(
        house,
        f"RAISE EXCEPTION 'bad row %', NEW USING ERRCODE = '{code}', COLUMN = NEW.name;",
    )
    assert code in refused(house, INSERT)


def test_what_a_statement_within_a_trigger_says_is_not_shown(
    house: PostgresWarehouse,
) -> None:
    raising(house, "EXECUTE format('SELECT %I', NEW.name); RETURN NEW;")
    assert "42703" in refused(house, INSERT)


def test_a_constraint_is_named_and_its_row_is_not(house: PostgresWarehouse) -> None:
    assert "constraint 'short'" in refused(
        house, f"INSERT INTO guarded VALUES (1, repeat('{SECRET}', 10))"
    )


def test_a_value_of_another_type_is_not_shown(house: PostgresWarehouse) -> None:
    assert "22P02" in refused(
        house,
        f"INSERT INTO guarded SELECT ('{SECRET}' || id)::integer FROM generate_series(1, 2) id",
    )


def test_what_is_wrong_with_a_name_or_the_server_is_shown(
    house: PostgresWarehouse,
) -> None:
    assert 'relation "nowhere" does not exist' in refused(
        house, "SELECT 1 FROM nowhere"
    )
    assert "25" in refused(
        house, "SET TRANSACTION READ ONLY; INSERT INTO guarded VALUES (1, 'a')"
    )


def test_duckdb_s_words_are_shown_only_where_they_name_objects() -> None:
    with duckdb.connect() as connection:
        house = DuckWarehouse(connection)
        connection.execute("CREATE TABLE t (a VARCHAR PRIMARY KEY)")
        assert "nowhere" in refused(house, "FROM nowhere")
        for sql in (
            f"INSERT INTO t VALUES ('{SECRET}'), ('{SECRET}')",
            f"SELECT '{SECRET}' :: INTEGER + random()",
            f"SELECT error('{SECRET}')",
            f"SELECT regexp_matches('a', '(' || '{SECRET}')",
            f"SELECT ('{SECRET}' || random()) :: DATE",
        ):
            assert "DuckDB: " in refused(house, sql)


def test_a_commit_of_duckdb_quotes_no_row() -> None:
    with duckdb.connect() as connection, connection.cursor() as other:
        connection.execute("CREATE TABLE t (a VARCHAR PRIMARY KEY)")
        house = DuckWarehouse(connection)

        def conflict() -> None:
            with house.transaction():
                house.run(Statement(f"INSERT INTO t VALUES ('{SECRET}')"))
                other.execute(f"INSERT INTO t VALUES ('{SECRET}')")

        with pytest.raises(
            WarehouseRefused, match=r"^DuckDB: TransactionException\. "
        ) as raised:
            conflict()
        assert SECRET not in str(raised.value)
        assert raised.value.__suppress_context__


class Refusing:
    """A catalog that quotes what it was sent."""

    def load_table(self, name: str) -> Any:
        from pyiceberg.exceptions import ServerError

        raise ServerError(f"cannot commit bounds {SECRET}")

    table_exists = load_table


def test_a_catalog_s_words_are_not_shown() -> None:
    import pyarrow as pa

    catalog: Any = Refusing()
    table = IcebergTable(catalog, "lake.triage", lambda url: None)  # type: ignore[arg-type, return-value]
    calls = [
        table.summaries,
        lambda: table.open(pa.schema([]), ""),
        lambda: table.replace("", [], {}, pa.schema([])),
    ]
    for call in calls:
        with pytest.raises(
            WarehouseRefused, match=r"lake\.triage: the catalog refused: ServerError"
        ) as raised:
            call()
        assert SECRET not in "".join(traceback.format_exception(raised.value))
