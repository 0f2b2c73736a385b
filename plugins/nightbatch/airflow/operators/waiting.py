"""How a task that buys frees its worker: it defers to a trigger, and then continues from the ledger's facts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from airflow.sdk.exceptions import AirflowFailException

from nightbatch.airflow import ports
from nightbatch.airflow.runs import received

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.triggers.base import BaseTrigger

    from nightbatch.ids import Shard
    from nightbatch.spec.run_ref import RunRef
    from nightbatch.submit.outcome import Later
    from nightbatch.submit.purchase import Purchase, Waiting

Outcome = TypeVar("Outcome")


def buy(
    task: BaseOperator,
    run: str | Mapping[str, Any],
    step: Callable[[Purchase], Outcome | Waiting],
    *,
    event: dict[str, Any] | None,
    queued: str,
) -> Outcome:
    """Do a step of a run's purchase for a task; defer the task if the step has to wait.

    :param run: the reference that `prepare` returned.
    :param event: what the task's last wait ended with; None: it has not waited yet.
    :param queued: the shard that waited for room in the account's queue; empty: none did.
    """
    from nightbatch.submit.purchase import Waiting

    _check(event)
    with ports.final_errors():
        ref = received(run)
        admitted_shard = _admitted(event, queued)
        purchase = ports.purchase(ref, task.log, admitted=admitted_shard)
        outcome = step(purchase)
        if isinstance(outcome, Waiting):
            _defer(task, outcome, ref)
        return outcome


def _defer(task: BaseOperator, waiting: Waiting, ref: RunRef) -> NoReturn:
    """Defer a task; its `execute` is called again with the event, `awaited`, `queued` and `failed`."""
    later = waiting.later
    wait_reason = later.why if later else "the batches of this attempt run"
    task.log.info("Waiting in the triggerer: %s", wait_reason)
    next_kwargs = {
        "awaited": waiting.awaited,
        "queued": waiting.queued or "",
        "failed": waiting.failed,
    }
    trigger = _trigger(later, waiting.awaited, ref)
    task.defer(trigger=trigger, method_name="execute", kwargs=next_kwargs)


def _admitted(event: dict[str, Any] | None, queued: str) -> Shard | None:
    """Return the shard that was let into the account's queue, according to the event of its wait."""
    from nightbatch.ids import Shard

    is_admitted = event is not None and event.get("admitted")
    return Shard(queued) if queued and is_admitted else None


def _check(event: dict[str, Any] | None) -> None:
    """Fail the task for good if its wait has failed."""
    if event and "failed" in event:
        raise AirflowFailException(event["failed"])


def _trigger(later: Later | None, awaited: str, ref: RunRef) -> BaseTrigger:
    """Return the trigger for a wait: for the attempt's batches, for room in the queue, or for a time."""
    from nightbatch.airflow.triggers.later import LaterTrigger
    from nightbatch.airflow.triggers.room import RoomTrigger, position_to_kwargs
    from nightbatch.airflow.triggers.run import RunTrigger

    if later is None:
        run_json = json.dumps(ref.to_dict())
        return RunTrigger(run_json, awaited, from_worker="True")
    wait_until = later.until.isoformat()
    if later.place is None:
        return LaterTrigger(
            wait_until, list(later.batches), ref.rules.anthropic_conn_id
        )
    return RoomTrigger(
        wait_until,
        position_to_kwargs(later.place),
        ref.rules.anthropic_conn_id,
        ref.rules.poll_seconds,
        _earliest_deadline(later, ref),
    )


def _earliest_deadline(later: Later, ref: RunRef) -> str:
    """Return the earlier of the run's deadline and the wait's own (ISO); empty where there is none."""
    deadlines: list[str] = []
    if ref.deadline:
        deadlines.append(ref.deadline)
    if later.at_latest is not None:
        deadlines.append(later.at_latest.isoformat())
    return min(deadlines, default="")
