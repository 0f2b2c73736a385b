"""The warehouses that every load must behave the same in: DuckDB and a real PostgreSQL."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from nightbatch.core.warehouse import Warehouse
from nightbatch.io.duck import DuckWarehouse
from nightbatch.io.postgres import PostgresWarehouse


def _beside(name: str) -> Any:
    """Import a module of this folder; `importlib` mode puts none on the path."""
    spec = importlib.util.spec_from_file_location(f"warehouse_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


postgres = _beside("postgres")


@dataclass(frozen=True)
class House:
    """A warehouse under test, and a second way to look into it."""

    kind: str
    warehouse: Warehouse
    query: Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """Run one PostgreSQL for all tests."""
    with postgres.running() as server:
        yield server


@pytest.fixture
def duck(tmp_path: Path) -> Iterator[House]:
    """Open a DuckDB file."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        other = connection.cursor()
        yield House("duckdb", DuckWarehouse(connection), lambda sql: other.execute(sql).fetchall())


@pytest.fixture
def postgres_house(postgres_server: Any) -> Iterator[House]:
    """Open an empty schema of the server."""
    connection, other = postgres_server.connect(), postgres_server.connect()
    other.autocommit = True
    cursor = other.cursor()
    cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA IF EXISTS mart CASCADE")

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
