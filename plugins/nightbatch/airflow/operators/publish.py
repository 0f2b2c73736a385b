"""Publish as an Airflow task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from nightbatch.airflow import assets, ports
from nightbatch.spec.run_ref import RunRef

if TYPE_CHECKING:
    from airflow.sdk import Context

    from nightbatch.ports import Store, Table


def output(ref: RunRef) -> Store | Table:
    """Open what the run publishes into."""
    if not ref.rules.table:
        return ports.store(ref.target, ref.rules.aws_conn_id)
    from nightbatch.airflow import iceberg

    return iceberg.table(ref)


class PublishOperator(BaseOperator):
    """Join rows and answers, replace the partition, and return the report, which is also the asset event's `extra`.

    :param run: the reference that `prepare` returned.
    """

    template_fields: Sequence[str] = ("run",)
    ui_color = "#fce8e6"

    def __init__(self, *, run: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run = run
        self.report: dict[str, Any] = {}

    def execute(self, context: Context) -> dict[str, Any]:
        from nightbatch.publish.publish import publish

        with ports.final_errors():
            ref = RunRef.from_xcom(self.run)
            run_ledger = ports.ledger(ref.state, ref.rules.aws_conn_id)
            destination = output(ref)
            started_at = getattr(context["dag_run"], "start_date", None) or ports.now()
            self.report = publish(ref, run_ledger, destination, ports.now, started_at)
            self._log_report()
            assets.emit_events(context, self.outlets, self.report)
            return self.report

    def _log_report(self) -> None:
        """Log what was published, and what about it needs attention."""
        from nightbatch.publish.report import lines

        for line in lines(self.report):
            self.log.info("%s", line)
        schema_changes = self.report["schema_changes"]
        if schema_changes:
            self.log.warning(
                "Columns changed since the last partition: %s.",
                "; ".join(schema_changes),
            )
        for quality_check in self.report["checks"]:
            if not quality_check["passed"]:
                self.log.warning(
                    "check %(check)s has not passed: %(value)s, limit %(limit)s",
                    quality_check,
                )

    def get_openlineage_facets_on_complete(self, _: Any) -> Any:
        """Report to OpenLineage what was read and written; called by its provider, where that is installed."""
        from nightbatch.airflow import lineage

        ref = RunRef.from_xcom(self.run)
        run_ledger = ports.ledger(ref.state, ref.rules.aws_conn_id)
        source_url = run_ledger.run(ref.snapshot).source
        return lineage.published(source_url, self.report)
