"""Land as an Airflow task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from nightbatch.airflow import ports
from nightbatch.airflow.operators.waiting import admitted, check, defer
from nightbatch.airflow.runs import received
from nightbatch.errors import SettingsError

if TYPE_CHECKING:
    from airflow.sdk import Context


class LandOperator(BaseOperator):
    """Land every batch of a run, and ask again what is lost until nothing is or the attempts are spent.

    Returns `{"attempts": number}`. Whatever must be waited for is waited for in the triggerer.

    :param run: the reference that `prepare` returned.
    :param sent: what `submit` returned, as JSON.
    """

    template_fields: Sequence[str] = ("run", "sent")
    ui_color = "#e6f4ea"

    def __init__(self, *, run: Any, sent: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run, self.sent = run, sent

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
            sent = _sent(self.sent)
            purchase = ports.purchase(ref, self.log, admitted=admitted(event, queued))
            outcome = purchase.land(
                awaited or sent["awaited"], failed or sent["failed"]
            )
            if isinstance(outcome, Waiting):
                defer(self, outcome, ref)
            return {"attempts": outcome.attempt}


def _sent(result: str) -> dict[str, Any]:
    """Read what `submit` returned."""
    sent = json.loads(result)
    if not isinstance(sent, dict):
        raise SettingsError(
            "`submit` has returned nothing, so there is nothing to land: clear the run from it on."
        )
    return sent
