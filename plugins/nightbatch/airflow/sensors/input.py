"""The wait for a partition's input, which takes no worker at all: it starts in the triggerer and is ended there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import StartTriggerArgs

from nightbatch.airflow.triggers.input import FIELDS, InputTrigger
from nightbatch.spec.enrichment import Enrichment

if TYPE_CHECKING:
    from airflow.sdk import Context

SLACK = timedelta(hours=1)


class InputSensor(BaseSensorOperator):
    """Wait until the partition of a scheduled run has its input; done at once if the input is there.

    Any other run continues without waiting: a manual run or backfill fails at once if the input is missing. The
    partition is that of the run's parameter `partition`, else of its partition key, else yesterday's.

    :param enrichment: whose source is waited for.
    :param wait_for: `any`: `_SUCCESS`, or Parquet files that no longer change; `_SUCCESS`: that marker alone.
    :param hours: how long to wait before the task fails.
    :param poll: seconds between two listings of the partition's folder.
    :param still: seconds for which no file may have been written, where there is no marker.
    """

    template_fields: Sequence[str] = FIELDS
    ui_color = "#f3e8fd"
    start_from_trigger = True

    def __init__(
        self,
        *,
        enrichment: Enrichment,
        wait_for: str = "any",
        hours: float = 12,
        poll: float = 30,
        still: float = 60,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        default_partition = enrichment.partition
        self.partition = f"{{{{ params.get('partition') or {default_partition!r} }}}}"
        self.key = "{{ partition_key | default('', true) }}"
        self.source = enrichment.source_root
        self.conn = enrichment.aws_conn_id
        self.wait_for = wait_for
        self.hours = str(hours)
        self.poll = str(poll)
        self.still = str(still)
        self.run_name = "{{ run_id }}"
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="nightbatch.airflow.triggers.input.InputTrigger",
            trigger_kwargs=self._trigger_kwargs(),
            next_method="execute_complete",
            timeout=timedelta(hours=hours) + SLACK,
        )

    def _trigger_kwargs(self) -> dict[str, Any]:
        return {field_name: getattr(self, field_name) for field_name in FIELDS}

    def execute(self, context: Context) -> None:
        """Defer, where Airflow did not start in the triggerer (`airflow dags test`)."""
        trigger = InputTrigger(**self._trigger_kwargs())
        self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Context, event: Any = None) -> None:
        """Fail if the input never came, or could not be looked for."""
        if not event:
            return
        if event.get("failed"):
            raise AirflowFailException(event["failed"])
        if event.get("late"):
            raise TimeoutError(
                f"After {self.hours} h there is no input below {self.source}."
            )
