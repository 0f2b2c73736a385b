"""From an Airflow connection to a warehouse: DuckDB and PostgreSQL, through the hooks of their providers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from nightbatch.airflow.connections import policy
from nightbatch.errors import SettingsError, WarehouseRefused
from nightbatch.load.warehouse import Warehouse

DEFAULT = "warehouse_default"
KINDS = ("duckdb", "postgres")
LOCKED = "Could not set lock on file"
PATIENCE_SECONDS, PAUSE_SECONDS = 120, 0.5


@contextmanager
def warehouse(conn_id: str) -> Iterator[Warehouse]:
    """Open the warehouse of a connection; a file that it makes is no other user's to read.

    Where `warehouse_default` does not exist, it is the DuckDB file `warehouse.duckdb` in AIRFLOW_HOME.
    """
    with _private(), closing(_open(hook(conn_id))) as connection:
        yield _of(connection)


def _open(found: Any) -> Any:
    """Connect; where another process writes to the DuckDB file, wait until it has done."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return found.get_conn()
        except Exception as error:
            if LOCKED not in str(error):
                raise
            if time.monotonic() > until:
                raise WarehouseRefused(
                    f"DuckDB: another process has had the file open for {PATIENCE_SECONDS} s."
                ) from None
        time.sleep(PAUSE_SECONDS)


@contextmanager
def _private() -> Iterator[None]:
    before = os.umask(0o077)
    os.umask(before | 0o007)
    try:
        yield
    finally:
        os.umask(before)


def hook(conn_id: str) -> Any:
    """Return the provider's hook for a connection."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    policy().check_connection(conn_id, "conn_id")
    try:
        found = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        if conn_id != DEFAULT:
            raise SettingsError(
                f"conn_id: there is no connection {conn_id!r}. Create it, of type {' or '.join(KINDS)}."
            ) from None
        return _embedded()
    if found.conn_type not in KINDS:
        raise SettingsError(
            f"connection {conn_id!r} is {found.conn_type!r}; a load goes to {' or '.join(KINDS)}."
        )
    return found.get_hook()


def _embedded() -> Any:
    from airflow.providers.duckdb.hooks.duckdb import DuckDBHook

    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    return DuckDBHook(database=str(home / "warehouse.duckdb"))


def _of(connection: Any) -> Warehouse:
    if type(connection).__module__.partition(".")[0] in ("duckdb", "_duckdb"):
        from nightbatch.io.duck import DuckWarehouse

        return DuckWarehouse(connection)
    from nightbatch.io.postgres import PostgresWarehouse

    return PostgresWarehouse(connection)
