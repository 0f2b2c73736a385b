"""How a task that buys gives its worker back: it defers to what it waits for, and goes on from the facts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.triggers.base import BaseTrigger

    from nightbatch.ids import Shard
    from nightbatch.spec.run_ref import RunRef
    from nightbatch.submit.purchase import Waiting
    from nightbatch.submit.submit import Later


def defer(task: BaseOperator, waiting: Waiting, ref: RunRef) -> NoReturn:
    """Defer a task; its `execute` is called again with the event, `awaited`, `queued` and `failed`."""
    later = waiting.later
    why = later.why if later else "the batches of this attempt run"
    task.log.info("Waiting in the triggerer: %s", why)
    progress = {
        "awaited": waiting.awaited,
        "queued": waiting.queued or "",
        "failed": waiting.failed,
    }
    task.defer(
        trigger=_trigger(later, waiting.awaited, ref),
        method_name="execute",
        kwargs=progress,
    )


def admitted(event: dict[str, Any] | None, queued: str) -> Shard | None:
    """Return the shard that was let into the account's queue, by the event of its wait."""
    from nightbatch.ids import Shard

    return Shard(queued) if queued and (event or {}).get("admitted") else None


def check(event: dict[str, Any] | None) -> None:
    """Fail the task for good where its wait has."""
    if event and "failed" in event:
        raise AirflowFailException(event["failed"])


def _trigger(later: Later | None, awaited: str, ref: RunRef) -> BaseTrigger:
    from nightbatch.airflow.triggers.later import LaterTrigger
    from nightbatch.airflow.triggers.room import RoomTrigger, as_kwargs
    from nightbatch.airflow.triggers.run import RunTrigger

    if later is None:
        return RunTrigger(json.dumps(ref.to_dict()), awaited, from_worker="True")
    until = later.until.isoformat()
    if later.place is None:
        return LaterTrigger(until, list(later.batches), ref.anthropic_conn_id)
    deadlines = [ref.deadline, later.at_latest.isoformat() if later.at_latest else ""]
    deadline = min(filter(None, deadlines), default="")
    return RoomTrigger(
        until, as_kwargs(later.place), ref.anthropic_conn_id, ref.poll_seconds, deadline
    )
