"""The DAG files of the project are parsed without an error, and a form names only what a run may change."""

from __future__ import annotations

from nightbatch.local.stack.stack import Stack
from nightbatch.spec import overriding


def test_every_dag_file_loads(stack: Stack) -> None:
    for dag_id in ("ticket_triage", "enrich_parquet", "load_warehouse"):
        stack.airflow.wait_parsed(dag_id)
    assert stack.airflow.get("/importErrors")["import_errors"] == []
    params = stack.airflow.get("/dags/enrich_parquet/details")["params"]
    assert set(params) <= overriding.NAMES - overriding.AUTHORS_ONLY
    assert "source" in params
