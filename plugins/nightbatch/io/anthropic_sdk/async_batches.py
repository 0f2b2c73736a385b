"""The Message Batches API for the event loop: raw bytes from the official async client, decoded off the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import anthropic
import msgspec

from nightbatch.errors import ApiUnavailable, BatchGone
from nightbatch.ids import BatchId
from nightbatch.io.anthropic_sdk.client import (
    NO_REDIRECT,
    address,
    batch_path,
    checked_counts,
    checked_id,
    hardened,
    page_path,
)
from nightbatch.io.anthropic_sdk.errors import passing_ended, reading, retry_after
from nightbatch.io.anthropic_sdk.http_library import http
from nightbatch.ports import Batch, BatchStatus, Page

TIMEOUT_SECONDS = 60.0
DECODED_ON_LOOP_BYTES = 16 * 1024
"""Shorter answers are decoded at once; longer ones would hold up the loop."""


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


_batch_decoder = msgspec.json.Decoder(_Wire)
_page_decoder = msgspec.json.Decoder(_WirePage)


class AsyncAnthropicBatches:
    """Reads and cancels with an async SDK client, its retries off."""

    def __init__(self, client: anthropic.AsyncAnthropic) -> None:
        self._client: anthropic.AsyncAnthropic = hardened(
            client, timeout=TIMEOUT_SECONDS
        )
        self._address = address(client)

    async def page(self, after: BatchId | None, limit: int) -> Page:
        try:
            response = await self._get(page_path(after, limit))
        except BatchGone as error:
            raise ApiUnavailable(
                f"the list of batches could not be read: {error}"
            ) from None
        raw_page = response.content
        with reading(self._address):
            if len(raw_page) < DECODED_ON_LOOP_BYTES:
                return page_of(raw_page)
            return await asyncio.to_thread(page_of, raw_page)

    async def batch(self, batch: BatchId) -> BatchStatus:
        response = await self._get(batch_path(batch))
        with reading(self._address):
            current_batch = batch_of(response.content)
            return BatchStatus(current_batch, retry_after(response.headers))

    async def cancel(self, batch: BatchId) -> None:
        with reading(self._address), passing_ended():
            path = f"{batch_path(batch)}/cancel"
            await self._client.post(path, cast_to=http.Response, options=NO_REDIRECT)

    async def close(self) -> None:
        await self._client.close()

    async def _get(self, path: str) -> http.Response:
        with reading(self._address):
            response: Any = await self._client.get(
                path, cast_to=http.Response, options=NO_REDIRECT
            )
            return response  # type: ignore[no-any-return]


def page_of(raw: bytes) -> Page:
    """Read one page of the listing; a batch that cannot be read is left out, and so read by itself."""
    wire_page = _page_decoder.decode(raw)
    batches = _readable_batches(wire_page.data)
    return Page(batches, _last_id(wire_page, batches))


def _last_id(wire_page: _WirePage, batches: list[Batch]) -> BatchId | None:
    """Return the id after which the next page begins, or None if there is no next page."""
    if not wire_page.has_more:
        return None
    if wire_page.last_id:
        return BatchId(checked_id(wire_page.last_id))
    return batches[-1].id if batches else None


def _readable_batches(raw_batches: Iterable[msgspec.Raw]) -> list[Batch]:
    read_batches = map(_batch_or_none, raw_batches)
    return [batch for batch in read_batches if batch is not None]


def _batch_or_none(raw: msgspec.Raw) -> Batch | None:
    try:
        return batch_of(raw)
    except ValueError:
        return None


def batch_of(raw: bytes | msgspec.Raw) -> Batch:
    """Read one batch, and only the fields that are needed. Raises ValueError, or its subclass msgspec.DecodeError."""
    wire = _batch_decoder.decode(raw)
    counts = checked_counts(wire.request_counts or {})
    status = wire.processing_status
    created_at = wire.created_at
    if created_at.tzinfo is None:
        created_at = created_at.replace(tzinfo=UTC)
    return Batch(
        id=BatchId(checked_id(wire.id)),
        created_at=created_at,
        ended=status == "ended",
        counts=counts,
        canceling=status == "canceling",
        expires_at=wire.expires_at,
    )
