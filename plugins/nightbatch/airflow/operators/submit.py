"""Submit as an Airflow task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import DownstreamTasksSkipped

from nightbatch.airflow import ports
from nightbatch.airflow.operators.waiting import admitted, check, defer
from nightbatch.airflow.runs import received

if TYPE_CHECKING:
    from airflow.sdk import Context


class SubmitOperator(BaseOperator):
    """Claim the pending requests, and send them until every shard has its batch; a canary batch is sent first.

    Returns `{"awaited": the attempt's name, "batches": number, "failed": why some could not be sent}`. All waiting is
    done in the triggerer.

    :param run: the reference that `prepare` returned.
    :param batch_tasks: ids of the tasks that wait for batches and land them; skipped where there is no batch.
    """

    template_fields: Sequence[str] = ("run",)
    ui_color = "#e6f4ea"

    def __init__(
        self, *, run: Any, batch_tasks: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.run = run
        self.batch_tasks = tuple(batch_tasks)

    def execute(
        self,
        context: Context,
        event: Any = None,
        awaited: str = "",
        queued: str = "",
        failed: str = "",
    ) -> dict[str, Any]:
        from nightbatch.submit.purchase import Waiting

        check(event)
        with ports.final_errors():
            ref = received(self.run)
            admitted_shard = admitted(event, queued)
            purchase = ports.purchase(ref, self.log, admitted=admitted_shard)
            outcome = purchase.submit(awaited)
            if isinstance(outcome, Waiting):
                defer(self, outcome, ref)
        submit_result = {
            "awaited": outcome.awaited,
            "batches": outcome.batches,
            "failed": outcome.failed,
        }
        if outcome.failed:
            self.log.error(
                "Not all could be sent; what was sent is waited for and landed first: %s",
                outcome.failed,
            )
        if not outcome.batches and self.batch_tasks:
            self.log.info("Nothing is to be bought or waited for.")
            context["ti"].xcom_push("return_value", submit_result)
            raise DownstreamTasksSkipped(tasks=list(self.batch_tasks))
        return submit_result
