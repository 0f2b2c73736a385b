"""Prepare as an Airflow task."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from nightbatch.airflow import ports
from nightbatch.airflow.connections import policy
from nightbatch.airflow.runs import resolve, run_ref

if TYPE_CHECKING:
    from airflow.sdk import Context

    from nightbatch.spec.enrichment import Enrichment


class PrepareOperator(BaseOperator):
    """Stage the rows and requests of a partition, and return a reference to the run.

    :param enrichment: what to do; a run changes what its DAG declares as Param. None: the parameters say it all.
    """

    ui_color = "#e8f0fe"

    def __init__(self, *, enrichment: Enrichment | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.enrichment = enrichment

    def execute(self, context: Context) -> dict[str, Any]:
        from nightbatch.airflow import iceberg
        from nightbatch.ledger.state import with_state
        from nightbatch.prepare.media_fetch import fetcher
        from nightbatch.prepare.prepare import check_target, prepare
        from nightbatch.spec.media_roots import MediaRoots

        with ports.final_errors():
            settings = resolve(self.enrichment, context)
            settings.check()
            policy().check(settings)
            settings = policy().narrowed(settings)
            open_store = partial(ports.store, aws_conn_id=settings.aws_conn_id)
            settings = with_state(settings, open_store)
            check_target(settings, open_store)
            source = open_store(settings.source_root)
            fetch = fetcher(
                open_store, MediaRoots.read(settings.media_roots, settings.source)
            )
            run = prepare(settings, source, open_store(settings.state_url), fetch)
            self.log.info(
                "Snapshot %s: %d rows, %d distinct requests.",
                run.snapshot,
                run.rows,
                run.requests,
            )
            ref = run_ref(settings, run, context)
            iceberg.check_place(ref)
            return ref.to_dict()
