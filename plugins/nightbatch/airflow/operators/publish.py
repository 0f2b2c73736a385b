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
    if not ref.table:
        return ports.store(ref.target, ref.aws_conn_id)
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
            ledger, target = ports.ledger(ref.state, ref.aws_conn_id), output(ref)
            started = getattr(context["dag_run"], "start_date", None) or ports.now()
            self.report = report = publish(ref, ledger, target, ports.now, started)
            self.log.info(
                "%d rows published, %s; %s USD.",
                report["rows"],
                report["by_status"],
                report["cost_usd"],
            )
            if report["schema_changes"]:
                self.log.warning(
                    "Columns changed since the last partition: %s.",
                    "; ".join(report["schema_changes"]),
                )
            for one in (one for one in report["checks"] if not one["passed"]):
                self.log.warning(
                    "check %(check)s has not passed: %(value)s, limit %(limit)s", one
                )
            assets.tell(context, self.outlets, report)
            return report

    def get_openlineage_facets_on_complete(self, _: Any) -> Any:
        """Tell OpenLineage what was read and written; called by its provider, where that is installed."""
        from nightbatch.airflow import lineage

        ref = RunRef.from_xcom(self.run)
        return lineage.published(
            ports.ledger(ref.state, ref.aws_conn_id).run(ref.snapshot).source,
            self.report,
        )
