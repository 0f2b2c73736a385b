"""Land as an Airflow task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from nightbatch.airflow.operators.waiting import buy
from nightbatch.errors import SettingsError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from nightbatch.submit.purchase import AllLanded, Purchase, Waiting


class LandOperator(BaseOperator):
    """Land every batch of a run, and send lost requests again until none is lost or no attempt is left.

    Returns `{"attempts": number}`. All waiting is done in the triggerer.

    :param run: the reference that `prepare` returned.
    :param sent: what `submit` returned, as JSON.
    """

    template_fields: Sequence[str] = ("run", "sent")
    ui_color = "#e6f4ea"

    def __init__(self, *, run: Any, sent: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run = run
        self.sent = sent

    def execute(
        self,
        context: Context,
        event: Any = None,
        awaited: str = "",
        queued: str = "",
        failed: str = "",
    ) -> dict[str, Any]:
        def land(purchase: Purchase) -> AllLanded | Waiting:
            submit_result = _submit_result(self.sent)
            attempt_name = awaited or submit_result["awaited"]
            send_failures = failed or submit_result["failed"]
            return purchase.land(attempt_name, send_failures)

        all_landed = buy(self, self.run, land, event=event, queued=queued)
        return {"attempts": all_landed.attempt}


def _submit_result(result_json: str) -> dict[str, Any]:
    """Read what `submit` returned."""
    submit_result = json.loads(result_json)
    if not isinstance(submit_result, dict):
        raise SettingsError(
            "`submit` has returned nothing, so there is nothing to land: clear the run from it on."
        )
    return submit_result
