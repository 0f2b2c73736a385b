"""One poller for each connection and event loop: all triggers of a triggerer share it."""

from __future__ import annotations

import asyncio

from nightbatch.airflow.client import Connection, pace
from nightbatch.wait.poller import Poller

_pollers: dict[str, Poller] = {}


def poller(conn_id: str) -> Poller:
    """Return the poller of a connection in the running loop."""
    loop = asyncio.get_running_loop()
    shared = _pollers.get(conn_id)
    if shared is None or shared.loop is not loop:
        shared = Poller(Connection(conn_id, pace()), pace())
        _pollers[conn_id] = shared
    return shared
