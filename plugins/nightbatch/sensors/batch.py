"""The wait for a batch, which takes no worker at all: it starts in the triggerer and is ended there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.triggers.base import StartTriggerArgs

from nightbatch.triggers.batch import BatchTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

LONGEST = timedelta(hours=26)
"""A batch ends 24 hours after its creation at the latest."""


class BatchSensor(BaseSensorOperator):
    """Wait until a message batch has ended.

    :param batch: the batch's id, templated.
    :param conn: the `anthropic` connection, templated.
    :param poll: the longest pause between two looks at the batch, in seconds, templated.
    """

    template_fields: Sequence[str] = ("batch", "conn", "poll")
    ui_color = "#f3e8fd"
    start_from_trigger = True

    def __init__(self, *, batch: str, conn: str = "anthropic_default", poll: str | float = 60, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch, self.conn, self.poll = batch, conn, str(poll)
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="nightbatch.triggers.batch.BatchTrigger",
            trigger_kwargs={"batch": self.batch, "conn": self.conn, "poll": self.poll},
            next_method="execute_complete",
            timeout=LONGEST,
        )

    def execute(self, context: Context) -> None:
        """Defer, where Airflow did not start in the triggerer (`airflow dags test`)."""
        trigger = BatchTrigger(batch=self.batch, conn=self.conn, poll=self.poll)
        self.defer(trigger=trigger, method_name="execute_complete", timeout=LONGEST)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Return what the trigger saw."""
        return event
