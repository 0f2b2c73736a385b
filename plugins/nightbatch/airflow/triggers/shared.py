"""One poller for each connection and event loop: all triggers of a triggerer share it."""

from __future__ import annotations

import asyncio

from nightbatch.airflow.client import Connection
from nightbatch.wait.pace import poll_timing
from nightbatch.wait.poller import Poller

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
