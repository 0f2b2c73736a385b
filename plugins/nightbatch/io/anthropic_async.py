"""The Message Batches API for the event loop: raw bytes from the official async client, decoded off the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import anthropic
import httpx2
import msgspec

from nightbatch.errors import ApiUnavailable, BatchGone
from nightbatch.ids import BatchId
from nightbatch.io.anthropic_api import (
    UNREADABLE,
    passing_ended,
    read_error,
    retry_after,
)
from nightbatch.io.anthropic_client import (
    NO_REDIRECT,
    batch_path,
    checked_counts,
    checked_id,
    hardened,
    page_path,
)
from nightbatch.ports import Batch, Page, Sight

TIMEOUT = 60.0
SMALL = 16 * 1024
"""Bytes that are decoded at once; more would hold up the loop."""


class _Wire(msgspec.Struct):
    id: str
    created_at: datetime
    processing_status: str
    request_counts: dict[str, int | None] | None = None
    expires_at: datetime | None = None


class _WirePage(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool | None = False
    last_id: str | None = None


class AsyncAnthropicBatches:
    """Reads and cancels with an async SDK client, its retries off."""

    def __init__(self, client: anthropic.AsyncAnthropic) -> None:
        self._client: anthropic.AsyncAnthropic = hardened(client, timeout=TIMEOUT)

    async def page(self, after: BatchId | None, limit: int) -> Page:
        try:
            raw = (await self._get(page_path(after, limit))).content
        except BatchGone as error:
            raise ApiUnavailable(
                f"the list of batches could not be read: {error}"
            ) from None
        with _reading():
            return (
                page_of(raw)
                if len(raw) < SMALL
                else await asyncio.to_thread(page_of, raw)
            )

    async def batch(self, batch: BatchId) -> Sight:
        response = await self._get(batch_path(batch))
        with _reading():
            return Sight(batch_of(response.content), retry_after(response.headers))

    async def cancel(self, batch: BatchId) -> None:
        with _reading(), passing_ended():
            await self._client.post(
                f"{batch_path(batch)}/cancel",
                cast_to=httpx2.Response,
                options=NO_REDIRECT,
            )

    async def close(self) -> None:
        await self._client.close()

    async def _get(self, path: str) -> httpx2.Response:
        with _reading():
            response: Any = await self._client.get(
                path, cast_to=httpx2.Response, options=NO_REDIRECT
            )
            return response  # type: ignore[no-any-return]


def page_of(raw: bytes) -> Page:
    """Read one page of the listing; a batch that cannot be read is left out, and so read by itself."""
    wire = msgspec.json.decode(raw, type=_WirePage)
    batches = [batch for one in wire.data if (batch := _readable(one)) is not None]
    following = wire.last_id or (batches[-1].id if batches else None)
    return Page(
        batches, BatchId(checked_id(following)) if wire.has_more and following else None
    )


def batch_of(raw: bytes | msgspec.Raw) -> Batch:
    """Read one batch; what is not needed is not looked at. Raises ValueError, of which msgspec.DecodeError is one."""
    wire = msgspec.json.decode(raw, type=_Wire)
    counts = checked_counts(wire.request_counts or {})
    status = wire.processing_status
    batch = BatchId(checked_id(wire.id))
    born = wire.created_at
    return Batch(
        batch,
        born if born.tzinfo else born.replace(tzinfo=UTC),
        status == "ended",
        counts,
        status == "canceling",
        wire.expires_at,
    )


def _readable(raw: msgspec.Raw) -> Batch | None:
    try:
        return batch_of(raw)
    except ValueError:
        return None


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except anthropic.APIStatusError as error:
        raise read_error(error) from None
    except UNREADABLE as error:
        raise ApiUnavailable(
            f"the API could not be read: {type(error).__name__}."
        ) from None
