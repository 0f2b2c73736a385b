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

    :param enrichment: what to do; a run changes what its DAG declares as Param. None: the parameters say everything.
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
            settings = _checked_settings(self.enrichment, context)
            open_store = partial(ports.store, aws_conn_id=settings.aws_conn_id)
            settings = with_state(settings, open_store)
            check_target(settings, open_store)
            source_store = open_store(settings.source_root)
            media_roots = MediaRoots.read(settings.media_roots, settings.source)
            fetch_media = fetcher(open_store, media_roots)
            state_store = open_store(settings.state_url)
            run = prepare(settings, source_store, state_store, fetch_media)
            self.log.info(
                "Snapshot %s: %d rows, %d distinct requests.",
                run.snapshot,
                run.rows,
                run.requests,
            )
            ref = run_ref(settings, run, context)
            iceberg.check_place(ref)
            return ref.to_dict()


def _checked_settings(enrichment: Enrichment | None, context: Context) -> Enrichment:
    """Return the run's settings, checked by themselves and by the deployment's policy, under the policy's limits."""
    settings = resolve(enrichment, context)
    settings.check()
    policy().check(settings)
    return policy().narrowed(settings)
