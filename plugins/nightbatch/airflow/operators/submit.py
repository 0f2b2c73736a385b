"""Submit as an Airflow task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import DownstreamTasksSkipped

from nightbatch.airflow.operators.waiting import buy

if TYPE_CHECKING:
    from airflow.sdk import Context

    from nightbatch.submit.purchase import Purchase, Sent, Waiting


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
        def submit(purchase: Purchase) -> Sent | Waiting:
            return purchase.submit(awaited)

        sent = buy(self, self.run, submit, event=event, queued=queued)
        submit_result = {
            "awaited": sent.awaited,
            "batches": sent.batches,
            "failed": sent.failed,
        }
        if sent.failed:
            self.log.error(
                "Not all could be sent; what was sent is waited for and landed first: %s",
                sent.failed,
            )
        if not sent.batches and self.batch_tasks:
            self.log.info("Nothing is to be bought or waited for.")
            context["ti"].xcom_push("return_value", submit_result)
            raise DownstreamTasksSkipped(tasks=list(self.batch_tasks))
        return submit_result
