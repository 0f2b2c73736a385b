"""One poller for each connection and event loop: all triggers of a triggerer share it."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

from airflow.triggers.base import BaseTrigger

from nightbatch.airflow.client import Connection
from nightbatch.wait.pace import poll_timing
from nightbatch.wait.poller import Poller
from nightbatch.wait.trouble import WaitEnd
from nightbatch.wait.trouble import reporting as reporting_trouble

_pollers: dict[str, Poller] = {}


def poller(conn_id: str) -> Poller:
    """Return the poller of a connection in the running loop."""
    running_loop = asyncio.get_running_loop()
    shared_poller = _pollers.get(conn_id)
    if shared_poller is None or shared_poller.loop is not running_loop:
        connection = Connection(conn_id, poll_timing())
        shared_poller = Poller(connection, poll_timing())
        _pollers[conn_id] = shared_poller
    return shared_poller


def reporting(
    trigger: BaseTrigger,
    poller: Poller,
    *,
    ends_at: datetime | None = None,
    cancels_at: datetime | None = None,
) -> AbstractAsyncContextManager[None]:
    """Say in the log of a trigger's task that the API cannot be read, and until when it is tried.

    :param ends_at: when the trigger itself ends its wait; Airflow's own timeout may come first.
    :param cancels_at: when the trigger cancels batches, and waits on.
    """
    ends = [end for end in (ends_at, timeout(trigger)) if end is not None]
    wait_end = WaitEnd(min(ends, default=None), cancels_at)

    def say(line: str) -> None:
        trigger.log.warning("%s", line)

    return reporting_trouble(poller, say, wait_end, poller.pace.trouble)


def timeout(trigger: BaseTrigger) -> datetime | None:
    """Return when Airflow ends a trigger; None: never, or it runs without a triggerer (`airflow dags test`)."""
    timeout_after: datetime | None = getattr(trigger, "timeout_after", None)
    if timeout_after is None or timeout_after.tzinfo is not None:
        return timeout_after
    return timeout_after.replace(tzinfo=UTC)
