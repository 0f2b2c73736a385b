"""One poller for all batches of a connection: one client, one `list` call for up to a thousand batches.

All triggers of a triggerer live in one process and one loop, so a module-level registry is all the sharing needed.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from typing import Any

import anthropic
import httpx2

from nightbatch.core.errors import AccountStopped, ApiUnavailable, BatchGone
from nightbatch.core.ids import BatchId
from nightbatch.core.ports import Batch
from nightbatch.io.anthropic_api import PATH, batch_of, page_of, page_path, read_error

log = logging.getLogger(__name__)
SOONEST, GROWTH, GONE_LOOKS = 1.0, 1.3, 5
_pollers: dict[tuple[str, int], Poller] = {}


def poller(conn_id: str) -> Poller:
    """Return the poller of a connection in the running loop."""
    key = (conn_id, id(asyncio.get_running_loop()))
    if key not in _pollers:
        _pollers[key] = Poller(conn_id)
    return _pollers[key]


class Poller:
    """Looks at all awaited batches of a connection together, for as long as any is awaited."""

    def __init__(self, conn_id: str) -> None:
        self.conn_id = conn_id
        self._waiting: dict[BatchId, list[asyncio.Future[Batch]]] = {}
        self._ceilings: dict[BatchId, float] = {}
        self._unseen: dict[BatchId, int] = {}
        self._task: asyncio.Task[None] | None = None

    async def wait(self, batch: str, ceiling: float) -> Batch:
        """Return the batch once it has ended. Raises BatchGone and AccountStopped."""
        name = BatchId(batch)
        future: asyncio.Future[Batch] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, []).append(future)
        self._ceilings[name] = ceiling
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())
        try:
            return await future
        finally:
            self._waiting.get(name, []).remove(future) if future in self._waiting.get(name, []) else None
            if not self._waiting.get(name):
                self._waiting.pop(name, None)
                self._ceilings.pop(name, None)

    async def _run(self) -> None:
        async with await self._client() as client:
            pause = SOONEST
            while self._waiting:
                try:
                    await self._look(client)
                    pause = min(pause * GROWTH, *self._ceilings.values(), 3600.0)
                except ApiUnavailable as error:
                    log.warning("%s", error)
                    pause = max(error.retry_after or 0.0, min(60.0, pause * 2))
                except AccountStopped as error:
                    self._fail_all(error)
                await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311

    async def _client(self) -> Any:
        from airflow.providers.anthropic.hooks.anthropic import AnthropicHook

        hook = AnthropicHook(conn_id=self.conn_id)
        await asyncio.to_thread(lambda: hook.platform)  # looks the connection up, which blocks
        client: Any = await hook.get_async_conn()
        return client.with_options(max_retries=0)

    async def _look(self, client: Any) -> None:
        awaited, after = set(self._waiting), None
        while awaited:
            page = page_of(await self._get(client, page_path(after)))
            for batch in page.batches:
                if batch.id in awaited:
                    awaited.discard(batch.id)
                    self._seen(batch)
            after = page.next
            if after is None:
                break
        for name in awaited:
            await self._retrieve(client, name)

    async def _retrieve(self, client: Any, name: BatchId) -> None:
        try:
            self._seen(batch_of(await self._get(client, f"{PATH}/{name}")))
        except BatchGone as error:
            self._unseen[name] = self._unseen.get(name, 0) + 1
            if self._unseen[name] >= GONE_LOOKS:
                self._settle(name, error)

    async def _get(self, client: Any, path: str) -> Any:
        try:
            return await client.get(path, cast_to=object)
        except anthropic.APIStatusError as error:
            raise read_error(error) from None
        except (anthropic.AnthropicError, httpx2.HTTPError) as error:
            raise ApiUnavailable(f"the API could not be read: {type(error).__name__}.") from None

    def _seen(self, batch: Batch) -> None:
        self._unseen.pop(batch.id, None)
        if batch.ended:
            self._settle(batch.id, batch)

    def _fail_all(self, error: AccountStopped) -> None:
        for name in list(self._waiting):
            self._settle(name, error)

    def _settle(self, name: BatchId, outcome: Batch | Exception) -> None:
        for future in self._waiting.pop(name, []):
            if not future.done():
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
