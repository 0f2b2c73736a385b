"""A synchronous SDK client for the event loop: each call in a thread.

For hooks of the anthropic provider before 1.2, which make no async client. The synchronous one is the only one that
knows all their ways to log in.
"""

from __future__ import annotations

import asyncio
from typing import Any


class InThreads:
    """Has the methods of an async SDK client that are used here, over a synchronous one."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @property
    def base_url(self) -> Any:
        """Return the URL that requests go to."""
        return self._client.base_url

    @property
    def open_telemetry(self) -> Any:
        """Return the settings of traces; None where the SDK has none."""
        return getattr(self._client, "open_telemetry", None)

    def with_options(self, **options: Any) -> InThreads:
        """Return the same client with other options."""
        changed_client = self._client.with_options(**options)
        return InThreads(changed_client)

    async def get(self, path: str, **arguments: Any) -> Any:
        """Send a GET."""
        return await asyncio.to_thread(self._client.get, path, **arguments)

    async def post(self, path: str, **arguments: Any) -> Any:
        """Send a POST."""
        return await asyncio.to_thread(self._client.post, path, **arguments)

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._client.close)
