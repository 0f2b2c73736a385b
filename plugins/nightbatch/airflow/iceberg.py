"""From a connection to an Iceberg catalog: its host is the catalog's URI, its extra PyIceberg's catalog properties.

`{"type": "rest"}`, `{"type": "glue"}`, `{"type": "sql"}` and so on; login and password are a REST catalog's credential.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from nightbatch.airflow import ports
from nightbatch.airflow.connections import policy, require
from nightbatch.spec.locations import parse
from nightbatch.spec.run_ref import RunRef

if TYPE_CHECKING:
    from nightbatch.io.iceberg import IcebergTable


def check_place(ref: RunRef) -> None:
    """Refuse a table outside the deployment's roots before anything is bought.

    Only the catalog may know where a table that does not exist yet will be; its files are checked when written.
    """
    if not ref.rules.table or policy().roots is None:
        return
    location = table(ref).place()
    if location is not None:
        policy().check_place(parse(location, "table"), "table")


def table(ref: RunRef) -> IcebergTable:
    """Open a run's table; its files and metadata go through the run's `aws` connection, each below NIGHTBATCH_ROOTS."""
    from pyiceberg.catalog import load_catalog

    from nightbatch.io import iceberg_files
    from nightbatch.io.anthropic_sdk.client import quiet
    from nightbatch.io.iceberg import IcebergTable

    quiet()  # a Glue catalog is reached through boto3
    connection = require(
        ref.rules.iceberg_conn_id, "iceberg", "generic", name="iceberg_conn_id"
    )
    catalog_options = _catalog_options(connection)

    @cache
    def open_store(url: str) -> Any:
        return ports.store(url, ref.rules.aws_conn_id)

    catalog_name = catalog_options.pop("name", ref.rules.iceberg_conn_id)
    file_options = iceberg_files.properties(open_store)
    catalog = load_catalog(catalog_name, **catalog_options, **file_options)
    table_location = catalog_options.get("table-location")
    return IcebergTable(catalog, ref.rules.table or "", open_store, table_location)


def _catalog_options(connection: Any) -> dict[str, Any]:
    """Return PyIceberg's catalog properties: the connection's extra, completed by its host, login and password."""
    options: dict[str, Any] = {}
    for option_name, option_value in connection.extra_dejson.items():
        options[option_name] = str(option_value)
    if connection.host:
        options.setdefault("uri", connection.host)
    if connection.login:
        credential = f"{connection.login}:{connection.password or ''}"
        options.setdefault("credential", credential)
    return options
