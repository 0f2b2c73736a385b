"""What a wait in the triggerer needs from Airflow: the async client of a connection, kept up to date, and its pace."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nightbatch.airflow.connections import anthropic_hook, require
from nightbatch.errors import AccountStopped, NightbatchError, SettingsError
from nightbatch.wait.pace import PollTiming

if TYPE_CHECKING:
    from nightbatch.ports import AsyncBatches

log = logging.getLogger(__name__)


Make = Callable[[str, Any], "tuple[Any, AsyncBatches | None]"]
"""Make the client of a connection, from its id and what the last client was made of.

Returns what the client is made of, and None in place of the client if that has not changed.
"""


class Connection:
    """The async client of an `anthropic` connection: one for all waits, replaced when the connection has changed.

    Looking a connection up, importing the SDK and making a client all block, so they are done off the event loop.
    """

    def __init__(
        self, conn_id: str, pace: PollTiming, make: Make | None = None
    ) -> None:
        self._conn_id = conn_id
        self._pace = pace
        self._make = make or _client
        self._client: AsyncBatches | None = None
        self._retired: AsyncBatches | None = None
        self._made_of: Any = None
        self._read_at = 0.0
        self._settings_error: SettingsError | None = None
        self._lock = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Return whether there is a client."""
        return self._client is not None

    async def open(self) -> AsyncBatches:
        """Return the client; read the connection first if that was too long ago."""
        async with self._lock:
            seconds_since_read = time.monotonic() - self._read_at
            if self._client is None or seconds_since_read > self._pace.connection:
                await self._refresh()
            if self._client is not None:
                return self._client
            if self._settings_error is not None:
                raise self._settings_error
            raise AccountStopped(
                f"connection {self._conn_id!r} cannot be used; see the log of the triggerer."
            )

    def doubt(self) -> None:
        """Read the connection again before the client is used next."""
        self._read_at = float("-inf")

    async def close(self) -> None:
        """Close the client, and the one before it."""
        async with self._lock:
            open_clients = (self._client, self._retired)
            self._client = None
            self._retired = None
            self._made_of = None
            for client in open_clients:
                await _close(client)

    async def _refresh(self) -> None:
        """Read the connection; while it cannot be read, the present client stays."""
        self._read_at = time.monotonic()
        try:
            made_of, client = await asyncio.to_thread(
                self._make, self._conn_id, self._made_of
            )
        except Exception as error:
            self._note_failure(error)
            return
        if client is None:
            return
        last_but_one = self._retired
        self._retired = self._client  # a request may still be in progress on it
        self._client = client
        self._made_of = made_of
        await _close(last_but_one)

    def _note_failure(self, error: Exception) -> None:
        """Log why the connection could not be used; the text of an error that is not ours may hold the key."""
        reason = error if isinstance(error, NightbatchError) else type(error).__name__
        self._settings_error = error if isinstance(error, SettingsError) else None
        log.warning("Connection %r could not be used: %s", self._conn_id, reason)


async def _close(client: AsyncBatches | None) -> None:
    """Close a client; an error while closing is ignored."""
    if client is not None:
        with suppress(Exception):
            await client.close()


def _client(conn_id: str, made_of: Any) -> tuple[Any, AsyncBatches | None]:
    """Make the client of a connection; None if it would be made of the same values as the present one."""
    from nightbatch.io.anthropic_sdk.async_batches import AsyncAnthropicBatches

    connection = require(conn_id, "anthropic", name="anthropic_conn_id")
    client_values = (connection.host, connection.password, connection.extra)
    if client_values == made_of:
        return client_values, None
    sdk_client = _sdk_client(anthropic_hook(connection))
    return client_values, AsyncAnthropicBatches(sdk_client)


def _sdk_client(hook: Any) -> Any:
    """Return the hook's async client, or its synchronous one in threads: hooks before provider 1.2 have no other."""
    if hasattr(hook, "get_async_conn"):
        return asyncio.run(hook.get_async_conn())
    from nightbatch.io.anthropic_sdk.in_threads import InThreads

    return InThreads(hook.get_conn())
