"""Land as an Airflow task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from nightbatch.core.facts import RunRef
from nightbatch.hooks import ports

if TYPE_CHECKING:
    from airflow.sdk import Context


class LandOperator(BaseOperator):
    """Write the results of an ended batch as one Parquet file, complete or not at all, and return its counts.

    :param run: the reference that `prepare` returned.
    :param lane: the shard, as `plan` returned it.
    """

    template_fields: Sequence[str] = ("run", "lane")
    ui_color = "#e6f4ea"

    def __init__(self, *, run: Any, lane: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run, self.lane = run, lane

    def execute(self, context: Context) -> dict[str, Any]:
        from nightbatch.steps.land import land

        with ports.final_errors():
            ref = RunRef.from_xcom(self.run)
            api = ports.batches(ref.anthropic_conn_id)
            fact = land(self.lane["shard"], ports.ledger(ref.state, ref.aws_conn_id), api)
            self.log.info("Shard %s landed: %s; %s USD.", fact.shard, fact.statuses, fact.cost_usd)
            return {"statuses": fact.statuses, "cost_usd": fact.cost_usd}
