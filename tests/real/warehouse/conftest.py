"""The warehouses that every load must behave the same in: DuckDB and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.support.servers import postgres

from nightbatch.io.duck import DuckWarehouse
from nightbatch.io.postgres import PostgresWarehouse
from nightbatch.load.warehouse import Warehouse
from nightbatch.local.cluster.servers import Server, connect_postgres


@dataclass(frozen=True)
class House:
    """A warehouse under test, and a second way to look into it."""

    kind: str
    warehouse: Warehouse
    query: Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """Run one PostgreSQL for all tests."""
    with postgres.running() as server:
        yield server


@pytest.fixture
def duck(tmp_path: Path) -> Iterator[House]:
    """Open a DuckDB file."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        other = connection.cursor()
        yield House(
            "duckdb",
            DuckWarehouse(connection),
            lambda sql: other.execute(sql).fetchall(),
        )


@pytest.fixture
def postgres_house(postgres_server: Server) -> Iterator[House]:
    """Open an empty schema of the server."""
    connection = connect_postgres(postgres_server)
    other = connect_postgres(postgres_server)
    other.autocommit = True
    cursor = other.cursor()
    cursor.execute(
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA IF EXISTS mart CASCADE"
    )

    def query(sql: str) -> list[tuple[Any, ...]]:
        cursor.execute(sql)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    yield House("postgres", PostgresWarehouse(connection), query)
    connection.close()
    other.close()


@pytest.fixture(params=["duck", "postgres_house"])
def house(request: pytest.FixtureRequest) -> House:
    """Return each warehouse in turn."""
    found: House = request.getfixturevalue(request.param)
    return found
