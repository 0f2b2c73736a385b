"""The wait for all batches of a run, which takes no worker at all: it starts in the triggerer and is ended there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import StartTriggerArgs

from nightbatch.airflow.sensors.batch import LONGEST
from nightbatch.airflow.triggers.run import RunTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class RunSensor(BaseSensorOperator):
    """Wait until all batches of a run's first attempt have ended.

    Returns `{"batches": number, "counts": {...}, "gone": number}`: how many batches, their requests by result, and
    how many batches the API no longer knows.

    :param reference: what `prepare` returned, as JSON, templated.
    :param awaited: the name of the fact that lists the attempt's shards, as `submit` returned it, templated.
    """

    template_fields: Sequence[str] = ("reference", "awaited")
    ui_color = "#f3e8fd"
    start_from_trigger = True

    def __init__(self, *, reference: str, awaited: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reference = reference
        self.awaited = awaited
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="nightbatch.airflow.triggers.run.RunTrigger",
            trigger_kwargs={"reference": reference, "awaited": awaited},
            next_method="execute_complete",
            timeout=LONGEST,
        )

    def execute(self, context: Context) -> None:
        """Defer, where Airflow did not start in the triggerer (`airflow dags test`)."""
        trigger = RunTrigger(self.reference, self.awaited)
        self.defer(trigger=trigger, method_name="execute_complete", timeout=LONGEST)

    def execute_complete(
        self, context: Context, event: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the trigger's event, or fail the task."""
        if "failed" in event:
            raise AirflowFailException(event["failed"])
        return event
