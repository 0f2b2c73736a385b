"""Plan as an Airflow task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import DownstreamTasksSkipped

from nightbatch.hooks import ports
from nightbatch.hooks.mapped import mapped
from nightbatch.hooks.settings import received
from nightbatch.hooks.waiting import lanes

if TYPE_CHECKING:
    from airflow.sdk import Context


class PlanOperator(BaseOperator):
    """Claim what is pending, and return one small dict for each shard that the run must wait for.

    :param run: the reference that `prepare` returned.
    :param attempt: the number of this wave.
    :param spared: ids of tasks to skip if there is no such shard.
    """

    template_fields: Sequence[str] = ("run",)
    ui_color = "#fef7e0"

    def __init__(self, *, run: Any, attempt: int, spared: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run, self.attempt, self.spared = run, attempt, spared

    def execute(self, context: Context) -> list[dict[str, Any]]:
        from nightbatch.steps.plan import plan

        with ports.final_errors():
            ref = received(self.run)
            made = plan(
                ref, self.attempt, ports.ledger(ref.state, ref.aws_conn_id), ports.now, ports.counts(ref), lanes()
            )
            counts = (made.asked, made.pending, len(made.lanes))
            self.log.info("%d requests, %d pending, %d shards; %s.", *counts, made.estimate.told)
            for note in made.notes:
                self.log.warning(note)
            before = mapped(context["ti"], self.downstream_task_ids)
            if self.spared and not made.lanes and not before:
                context["ti"].xcom_push("return_value", [])
                raise DownstreamTasksSkipped(tasks=list(self.spared))
            return [asdict(lane) for lane in made.lanes] + [{}] * (before - len(made.lanes))
