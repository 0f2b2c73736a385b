"""The wait for a batch, which takes no worker at all: it starts in the triggerer and is ended there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.triggers.base import StartTriggerArgs

from nightbatch.airflow.triggers.batch import BatchTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

LONGEST = timedelta(hours=26)
"""A batch ends 24 hours after its creation at the latest."""


class BatchSensor(BaseSensorOperator):
    """Wait until a message batch has ended, whoever sent it.

    Returns `{"batch": id, "counts": {...}}`, with `"gone": true` for a batch that the API no longer knows.

    :param batch: the batch's id, templated; or the output of the task that returns it.
    :param conn: the `anthropic` connection, templated.
    :param poll: the longest pause between two reads of the batch, in seconds, templated.
    :param deadline: time (ISO 8601) at which to cut the wait short, templated; empty: never.
    :param cancel_at_deadline: cancel the batch then and wait for its end; if not, the task is skipped. Templated.
    :param cancel_on_fail: cancel the batch when this task is marked failed, or its run fails. Templated.
    """

    template_fields: Sequence[str] = (
        "batch",
        "conn",
        "poll",
        "deadline",
        "cancel_at_deadline",
        "cancel_on_fail",
    )
    ui_color = "#f3e8fd"
    start_from_trigger = True

    def __init__(
        self,
        *,
        batch: Any,
        conn: str = "anthropic_default",
        poll: str | float = 60,
        deadline: str = "",
        cancel_at_deadline: str | bool = True,
        cancel_on_fail: str | bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.batch = self._batch_template(batch)
        self.conn = conn
        self.poll = str(poll)
        self.deadline = deadline
        self.cancel_at_deadline = str(cancel_at_deadline)
        self.cancel_on_fail = str(cancel_on_fail)
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="nightbatch.airflow.triggers.batch.BatchTrigger",
            trigger_kwargs=self._trigger_kwargs(),
            next_method="execute_complete",
            timeout=LONGEST,
        )

    def execute(self, context: Context) -> None:
        """Defer, where Airflow did not start in the triggerer (`airflow dags test`)."""
        self.defer(
            trigger=BatchTrigger(**self._trigger_kwargs()),
            method_name="execute_complete",
            timeout=LONGEST,
        )

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Return the trigger's event, or fail or skip the task."""
        if "failed" in event:
            raise AirflowFailException(event["failed"])
        if "skipped" in event:
            raise AirflowSkipException(event["skipped"])
        return event

    def _trigger_kwargs(self) -> dict[str, str]:
        return {
            field_name: getattr(self, field_name) for field_name in self.template_fields
        }

    def _batch_template(self, batch: Any) -> str:
        """Write another task's output as a template: a trigger renders templates, but does not resolve outputs."""
        if isinstance(batch, str):
            return batch
        self.set_upstream(batch.operator)
        batch_task_id = batch.operator.task_id
        pull_arguments = (
            f"task_ids={batch_task_id!r}, key={batch.key!r}, map_indexes=ti.map_index"
        )
        return f"{{{{ ti.xcom_pull({pull_arguments}) }}}}"
