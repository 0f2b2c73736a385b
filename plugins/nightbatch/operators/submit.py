"""Submit as an Airflow task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from nightbatch.core.facts import RunRef
from nightbatch.hooks import ports
from nightbatch.hooks.timing import timing

if TYPE_CHECKING:
    from airflow.sdk import Context

    from nightbatch.steps.submit import Buyer, Later


class SubmitOperator(BaseOperator):
    """Turn a claimed shard into a batch, once; whatever has to be waited for is waited for in the triggerer.

    :param run: the reference that `prepare` returned.
    :param lane: the shard, as `plan` returned it; empty: there is none.
    """

    template_fields: Sequence[str] = ("run", "lane")
    ui_color = "#e6f4ea"

    def __init__(self, *, run: Any, lane: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run, self.lane = run, lane

    def execute(self, context: Context, event: Any = None) -> dict[str, Any]:
        from nightbatch.steps.submit import Late, Later

        if not self.lane:
            raise AirflowSkipException("No shard is left for this lane, which an earlier try of the plan has opened.")
        with ports.final_errors():
            ref = RunRef.from_xcom(self.run)
            outcome = self._buyer(ref, event or {}).submit(self.lane["shard"])
            if isinstance(outcome, Later):
                self._wait(outcome, ref)
            if isinstance(outcome, Late):
                raise AirflowSkipException(f"Shard {self.lane['shard']}, claimed by another run: {outcome.why}")
            if outcome.warning:
                self.log.warning("%s", outcome.warning)
            self.log.info("Shard %s is batch %s.", self.lane["shard"], outcome.batch or "none: it was given up")
            return ref.wait(outcome.batch, owned=not self.lane["joined"])

    def _buyer(self, ref: RunRef, event: dict[str, Any]) -> Buyer:
        from nightbatch.steps.room import Rule
        from nightbatch.steps.submit import Buyer, Late

        ledger, api = ports.ledger(ref.state, ref.aws_conn_id), ports.batches(ref.anthropic_conn_id)
        rule = Rule(ref.max_in_flight_requests, admitted=bool(event.get("admitted")))
        late = Late(owned=not self.lane["joined"]) if ref.late(ports.now()) else None
        return Buyer(ledger, api, ports.now, timing(), rule, late)

    def _wait(self, later: Later, ref: RunRef) -> NoReturn:
        from nightbatch.triggers.later import LaterTrigger
        from nightbatch.triggers.room import RoomTrigger, as_kwargs

        until, conn_id = later.until.isoformat(), ref.anthropic_conn_id
        if later.place is None:
            self.log.info("Waiting in the triggerer until %s: %s", until, later.why)
            self.defer(trigger=LaterTrigger(until, list(later.batches), conn_id), method_name="execute")
        self.log.info("Waiting in the triggerer for room in the account's queue: %s", later.why)
        place = as_kwargs(later.place)
        self.defer(trigger=RoomTrigger(until, place, conn_id, ref.poll_seconds, ref.deadline), method_name="execute")
