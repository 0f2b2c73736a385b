"""Prepare as an Airflow task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from nightbatch.airflow import iceberg, ports
from nightbatch.airflow.runs import allowed, identity

if TYPE_CHECKING:
    from airflow.sdk import Context

    from nightbatch.spec.enrichment import Enrichment


class PrepareOperator(BaseOperator):
    """Stage the rows and requests of a partition, and return a reference to the run.

    :param enrichment: what to do; a run changes what its DAG declares as Param. None: the parameters say everything.
    """

    ui_color = "#e8f0fe"

    def __init__(self, *, enrichment: Enrichment | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.enrichment = enrichment

    def execute(self, context: Context) -> dict[str, Any]:
        from nightbatch.prepare.stage import stage

        with ports.final_errors():
            settings = allowed(self.enrichment, context)
            stores = ports.Stores(settings.aws_conn_id)
            run_id, started = identity(context)
            ref = stage(settings, stores.open, run_id, started, self.log.info)
            iceberg.check_place(ref)
            return ref.to_dict()
