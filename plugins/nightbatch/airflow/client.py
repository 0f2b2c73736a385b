"""What waits in the triggerer gets from Airflow: the async client of a connection, kept up to date, and its pace."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from nightbatch.airflow.connections import require
from nightbatch.errors import AccountStopped, NightbatchError, SettingsError
from nightbatch.wait.pace import Pace

if TYPE_CHECKING:
    from nightbatch.ports import AsyncBatches

log = logging.getLogger(__name__)


def pace() -> Pace:
    """Read how long things may take; NIGHTBATCH_POLL_GONE_SECONDS and its like override the defaults."""
    given = {
        one.name: os.environ.get(f"NIGHTBATCH_POLL_{one.name.upper()}_SECONDS")
        for one in fields(Pace)
    }
    return Pace(**{name: float(value) for name, value in given.items() if value})


Make = Callable[[str, Any], "tuple[Any, AsyncBatches | None]"]
"""Make the client of a connection, given what the last one was made of: what it is made of, and None if unchanged."""


class Connection:
    """The async client of an `anthropic` connection: one for all, made anew when the connection has changed.

    Looking a connection up, importing the SDK and making a client all block, so they are done off the event loop.
    """

    def __init__(self, conn_id: str, pace: Pace, make: Make | None = None) -> None:
        self._conn_id, self._pace, self._make = conn_id, pace, make or _client
        self._client: AsyncBatches | None = None
        self._retired: AsyncBatches | None = None
        self._made_of: Any = None
        self._read_at = 0.0
        self._wrong: SettingsError | None = None
        self._lock = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Tell whether there is a client."""
        return self._client is not None

    async def open(self) -> AsyncBatches:
        async with self._lock:
            if (
                self._client is None
                or time.monotonic() - self._read_at > self._pace.connection
            ):
                await self._refresh()
            if self._client is None and self._wrong is not None:
                raise self._wrong
            if self._client is None:
                raise AccountStopped(
                    f"connection {self._conn_id!r} cannot be used; see the log of the triggerer."
                )
            return self._client

    def doubt(self) -> None:
        self._read_at = float("-inf")

    async def close(self) -> None:
        async with self._lock:
            ended = self._client, self._retired
            self._client = self._retired = self._made_of = None
            for client in ended:
                await _close(client)

    async def _refresh(self) -> None:
        """Read the connection; while it cannot be read, the client that there is stays."""
        self._read_at = time.monotonic()
        try:
            made_of, client = await asyncio.to_thread(
                self._make, self._conn_id, self._made_of
            )
        except Exception as error:  # what it says may hold the key, unless it is ours
            why = error if isinstance(error, NightbatchError) else type(error).__name__
            self._wrong = error if isinstance(error, SettingsError) else None
            log.warning("Connection %r could not be used: %s", self._conn_id, why)
            return
        if client is not None:
            before, self._retired = (
                self._retired,
                self._client,
            )  # a request may still be under way on the last one
            self._client, self._made_of = client, made_of
            await _close(before)


async def _close(client: AsyncBatches | None) -> None:
    """Close a client; one that cannot even be closed holds nobody up."""
    if client is not None:
        with suppress(Exception):
            await client.close()


def _client(conn_id: str, made_of: Any) -> tuple[Any, AsyncBatches | None]:
    """Make the client of a connection; None if it would be made of the same as the one there is."""
    from airflow.providers.anthropic.hooks.anthropic import (
        FIRST_PARTY_PLATFORMS,
        AnthropicHook,
    )

    from nightbatch.io.anthropic_async import AsyncAnthropicBatches

    connection = require(conn_id, "anthropic", name="anthropic_conn_id")
    hook: Any = AnthropicHook(conn_id=conn_id)
    parts = (connection.host, connection.password, connection.extra)
    if parts == made_of:
        return parts, None
    if hook.platform not in FIRST_PARTY_PLATFORMS:
        raise SettingsError(
            f"connection {conn_id!r}: platform {hook.platform!r} has no message batches."
        )
    return parts, AsyncAnthropicBatches(asyncio.run(hook.get_async_conn()))
