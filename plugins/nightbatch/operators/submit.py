"""Submit as an Airflow task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator

from nightbatch.core.facts import RunRef
from nightbatch.hooks import ports

if TYPE_CHECKING:
    from airflow.sdk import Context


class SubmitOperator(BaseOperator):
    """Turn a claimed shard into a batch, once; whatever has to be waited for is waited for in the triggerer.

    :param run: the reference that `prepare` returned.
    :param lane: the shard, as `plan` returned it.
    """

    template_fields: Sequence[str] = ("run", "lane")
    ui_color = "#e6f4ea"

    def __init__(self, *, run: Any, lane: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run, self.lane = run, lane

    def execute(self, context: Context, event: Any = None) -> dict[str, Any]:
        from nightbatch.steps.submit import Buyer, Later

        with ports.final_errors():
            ref = RunRef.from_xcom(self.run)
            ledger, api = ports.ledger(ref.state, ref.aws_conn_id), ports.batches(ref.anthropic_conn_id)
            outcome = Buyer(ledger, api, ports.now, ports.timing()).submit(self.lane["shard"])
            if isinstance(outcome, Later):
                self._wait(outcome, ref)
            if outcome.warning:
                self.log.warning("%s", outcome.warning)
            self.log.info("Shard %s is batch %s.", self.lane["shard"], outcome.batch or "none: it was given up")
            return {"batch": outcome.batch, "conn": ref.anthropic_conn_id, "poll": ref.poll_seconds}

    def _wait(self, later: Any, ref: RunRef) -> NoReturn:
        from nightbatch.triggers.later import LaterTrigger

        self.log.info("Waiting in the triggerer until %s: %s", later.until.isoformat(), later.why)
        waits = {"until": later.until.isoformat(), "batches": list(later.batches)}
        self.defer(trigger=LaterTrigger(**waits, conn_id=ref.anthropic_conn_id), method_name="execute")
