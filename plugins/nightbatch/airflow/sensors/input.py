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
    """Wait until the partition that a scheduled run is about has its input; over at once if it is there.

    Any other run goes on without waiting: what was asked for by hand is to say at once what it lacks. The partition
    is that of the run's parameter `partition`, else of its partition key, else yesterday's.

    :param enrichment: whose source is waited for.
    :param wait_for: `any`: `_SUCCESS`, or Parquet files that are still; `_SUCCESS`: that marker alone.
    :param hours: how long to wait before the task fails.
    :param poll: seconds between two looks, a listing of one folder each.
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
        self.partition = (
            f"{{{{ params.get('partition') or {enrichment.partition!r} }}}}"
        )
        self.key = "{{ partition_key | default('', true) }}"
        self.source = enrichment.source_root
        self.conn = enrichment.aws_conn_id
        self.wait_for, self.hours, self.poll, self.still = (
            wait_for,
            str(hours),
            str(poll),
            str(still),
        )
        self.run_name = "{{ run_id }}"
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="nightbatch.airflow.triggers.input.InputTrigger",
            trigger_kwargs=self._given(),
            next_method="execute_complete",
            timeout=timedelta(hours=hours) + SLACK,
        )

    def _given(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in FIELDS}

    def execute(self, context: Context) -> None:
        """Defer, where Airflow did not start in the triggerer (`airflow dags test`)."""
        self.defer(
            trigger=InputTrigger(**self._given()), method_name="execute_complete"
        )

    def execute_complete(self, context: Context, event: Any = None) -> None:
        """Fail if the input never came, or could not be looked for."""
        if event and event.get("failed"):
            raise AirflowFailException(event["failed"])
        if event and event.get("late"):
            raise TimeoutError(
                f"After {self.hours} h there is no input below {self.source}."
            )
