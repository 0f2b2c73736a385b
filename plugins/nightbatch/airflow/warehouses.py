"""From an Airflow connection to a warehouse, through the hook of its provider."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from nightbatch.airflow.connections import policy
from nightbatch.errors import SettingsError, WarehouseRefused
from nightbatch.load.warehouse import Warehouse

DEFAULT = "warehouse_default"
WAREHOUSES = {
    "duckdb": "nightbatch.io.duck:DuckWarehouse",
    "postgres": "nightbatch.io.postgres:PostgresWarehouse",
}
"""The class that serves each type of connection."""
LOCKED = "Could not set lock on file"
PATIENCE_SECONDS = 120
PAUSE_SECONDS = 0.5


@contextmanager
def warehouse(conn_id: str) -> Iterator[Warehouse]:
    """Open the warehouse of a connection; no other user may read a file that this creates.

    Where `warehouse_default` does not exist, it is the DuckDB file `warehouse.duckdb` in AIRFLOW_HOME.
    """
    with _private_files():
        warehouse_hook = hook(conn_id)
        with closing(_connect(warehouse_hook)) as connection:
            yield _wrapped(connection, warehouse_hook.conn_type)


def _connect(warehouse_hook: Any) -> Any:
    """Connect; where another process writes to the DuckDB file, wait until it has finished."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return warehouse_hook.get_conn()
        except Exception as error:
            if LOCKED not in str(error):
                raise
            if time.monotonic() > deadline:
                raise WarehouseRefused(
                    f"DuckDB: another process has had the file open for {PATIENCE_SECONDS} s."
                ) from None
        time.sleep(PAUSE_SECONDS)


@contextmanager
def _private_files() -> Iterator[None]:
    """Create files that other users cannot read."""
    previous_umask = os.umask(0o077)
    os.umask(previous_umask | 0o007)
    try:
        yield
    finally:
        os.umask(previous_umask)


def hook(conn_id: str) -> Any:
    """Return the provider's hook for a connection."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    policy().check_connection(conn_id, "conn_id")
    known_types = " or ".join(WAREHOUSES)
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        if conn_id != DEFAULT:
            raise SettingsError(
                f"conn_id: there is no connection {conn_id!r}. Create it, of type {known_types}."
            ) from None
        return _default_hook()
    if connection.conn_type not in WAREHOUSES:
        raise SettingsError(
            f"connection {conn_id!r} is {connection.conn_type!r}; a load goes to {known_types}."
        )
    return connection.get_hook()


def _default_hook() -> Any:
    """Return the hook of the DuckDB file in AIRFLOW_HOME."""
    from airflow.providers.duckdb.hooks.duckdb import DuckDBHook

    airflow_home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    return DuckDBHook(database=str(airflow_home / "warehouse.duckdb"))


def _wrapped(connection: Any, connection_type: str) -> Warehouse:
    """Wrap a driver's connection; the module of its class is imported only now."""
    warehouse_class = resolve_name(WAREHOUSES[connection_type])
    wrapped_connection: Warehouse = warehouse_class(connection)
    return wrapped_connection
