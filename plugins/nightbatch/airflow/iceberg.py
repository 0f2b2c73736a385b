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

    Where a table that is still to be created will be, only its catalog may know; its files are checked when written.
    """
    if not ref.table or policy().roots is None:
        return
    location = table(ref).place()
    if location is not None:
        policy().check_place(parse(location, "table"), "table")


def table(ref: RunRef) -> IcebergTable:
    """Open a run's table; its files and metadata go through the run's `aws` connection, each below NIGHTBATCH_ROOTS."""
    from pyiceberg.catalog import load_catalog

    from nightbatch.io import iceberg_files
    from nightbatch.io.anthropic_client import quiet
    from nightbatch.io.iceberg import IcebergTable

    quiet()  # a Glue catalog is reached through boto3
    found = require(ref.iceberg_conn_id, "iceberg", "generic", name="iceberg_conn_id")
    given: dict[str, Any] = {
        name: str(value) for name, value in found.extra_dejson.items()
    }
    if found.host:
        given.setdefault("uri", found.host)
    if found.login:
        given.setdefault("credential", f"{found.login}:{found.password or ''}")

    @cache
    def opener(url: str) -> Any:
        return ports.store(url, ref.aws_conn_id)

    name = given.pop("name", ref.iceberg_conn_id)
    catalog = load_catalog(name, **given, **iceberg_files.properties(opener))
    return IcebergTable(catalog, ref.table or "", opener, given.get("table-location"))
