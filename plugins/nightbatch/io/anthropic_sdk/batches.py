"""The Message Batches API through the official SDK, with its retries off.

Creates go raw, since the SDK sends a lost create again without an idempotency key and so buys twice; reads go raw,
since its models accept an interrupted stream as a complete one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import anthropic

from nightbatch.errors import (
    ApiUnavailable,
    BatchGone,
    Incomplete,
    MaybeSent,
    NightbatchError,
    NotSent,
)
from nightbatch.ids import BatchId
from nightbatch.io.anthropic_sdk.client import (
    NO_REDIRECT,
    PATH,
    address,
    batch_path,
    checked_counts,
    checked_id,
    hardened,
    page_path,
)
from nightbatch.io.anthropic_sdk.errors import (
    UNREADABLE,
    create_error,
    passing_ended,
    reading,
)
from nightbatch.io.anthropic_sdk.http_library import http
from nightbatch.io.anthropic_sdk.unreachable import reason
from nightbatch.ports import Batch, Body, Page

PAGE = 1000
COUNT_TIMEOUT_SECONDS = 10.0
"""How long counting tokens may take: an estimate can do without."""
STREAM: Any = anthropic.Stream[Any]
_NEVER_OPENED = (
    http.ConnectError,
    http.ConnectTimeout,
    http.PoolTimeout,
    http.UnsupportedProtocol,
)


class AnthropicBatches:
    """Buy and read batches with a synchronous SDK client."""

    def __init__(self, client: anthropic.Anthropic) -> None:
        self._client: anthropic.Anthropic = hardened(client)
        self._address = address(client)

    def create(self, body: Body) -> Batch:
        sent_body = _SentBody(body, self._address)
        # Spelled as the SDK spells its own: before 1.0 it sends a header twice where only the case of letters differs.
        headers = {"Content-Type": "application/json", "Content-Length": str(body.size)}
        request_options: Any = {"headers": headers, **NO_REDIRECT}
        try:
            answer = self._client.post(
                PATH, cast_to=object, content=iter(sent_body), options=request_options
            )
        except UNREADABLE as error:
            raise sent_body.judge(error) from None
        return _created(answer)

    def page(self, after: BatchId | None = None) -> Page:
        try:
            with reading(self._address):
                path = page_path(after, PAGE)
                answer = self._client.get(path, cast_to=object, options=NO_REDIRECT)
                return page_of(answer)
        except BatchGone as error:  # the batch that `after` names: begin again
            raise ApiUnavailable(str(error)) from None

    def batch(self, batch: BatchId) -> Batch:
        with reading(self._address):
            path = batch_path(batch)
            answer = self._client.get(path, cast_to=object, options=NO_REDIRECT)
            return batch_of(answer)

    def cancel(self, batch: BatchId) -> Batch:
        with reading(self._address), passing_ended():
            path = f"{batch_path(batch)}/cancel"
            self._client.post(path, cast_to=object, options=NO_REDIRECT)
        return self.batch(batch)

    def count_tokens(self, params: dict[str, Any]) -> int:
        request_options: Any = {"timeout": COUNT_TIMEOUT_SECONDS, **NO_REDIRECT}
        with reading(self._address):
            answer = self._client.post(
                "/v1/messages/count_tokens",
                cast_to=object,
                body=params,
                options=request_options,
            )
            token_count = int(_object(answer)["input_tokens"])
            return max(0, token_count)

    @contextmanager
    def results(self, batch: BatchId) -> Iterator[Iterator[bytes]]:
        """Stream the results from the connection's own host: the batch's `results_url` may name any other."""
        headers = {"Accept": "application/x-jsonl, application/binary"}
        request_options = {"headers": headers, **NO_REDIRECT}
        path = f"{batch_path(batch)}/results"
        client: Any = self._client
        with reading(self._address):
            response = client.get(
                path,
                cast_to=http.Response,
                options=request_options,
                stream=True,
                stream_cls=STREAM,
            )
        try:
            yield _chunks(response.iter_bytes(), self._address)
        finally:
            response.close()


class _SentBody:
    """A body that counts what is sent of it: one that was not sent whole cannot have bought anything."""

    def __init__(self, body: Body, address: str) -> None:
        self._body = body
        self._address = address
        self._unsent_bytes = body.size

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._body.chunks:
            self._unsent_bytes -= len(chunk)
            yield chunk

    def judge(self, error: Exception) -> NightbatchError:
        """Say what an error means for the purchase."""
        if isinstance(error, anthropic.APIStatusError):
            return self._judge_status(error)
        cause = error.__cause__ or error
        if isinstance(cause, Incomplete):
            return cause
        if isinstance(cause, NightbatchError):
            return NotSent(f"the body was not sent whole: {cause}")
        if isinstance(cause, _NEVER_OPENED) or self._unsent_bytes > 0:
            return NotSent(
                f"the API at {self._address} could not be reached: {reason(cause)}."
            )
        return MaybeSent(
            f"the answer of {self._address} to the create was lost: {reason(cause)}."
        )

    def _judge_status(self, error: anthropic.APIStatusError) -> NightbatchError:
        status_error = create_error(error)
        if isinstance(status_error, MaybeSent) and self._unsent_bytes > 0:
            return NotSent(str(status_error))
        return status_error


def page_of(answer: object) -> Page:
    """Read one page of the listing."""
    page = _object(answer)
    batches = [batch_of(listed) for listed in page["data"]]
    has_next = page.get("has_more") and batches
    if not has_next:
        return Page(batches, None)
    last_id = page.get("last_id") or batches[-1].id
    return Page(batches, BatchId(checked_id(last_id)))


def batch_of(answer: object) -> Batch:
    """Read one batch, and only the fields that are needed."""
    batch = _object(answer)
    status = batch["processing_status"]
    expires_at = batch.get("expires_at")
    ended_at = batch.get("ended_at")
    return Batch(
        id=BatchId(checked_id(batch["id"])),
        created_at=_time(batch["created_at"]),
        ended=status == "ended",
        canceling=status == "canceling",
        counts=checked_counts(_object(batch["request_counts"])),
        expires_at=_time(expires_at) if expires_at else None,
        archived=batch.get("archived_at") is not None,
        ended_at=_time(ended_at) if ended_at else None,
    )


def _object(answer: object) -> dict[str, Any]:
    """Return a JSON object; raise TypeError for anything else, such as a gateway's page of text."""
    if not isinstance(answer, dict):
        raise TypeError(f"a JSON object was expected, not {type(answer).__name__}")
    return answer


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _chunks(chunks: Iterator[bytes], address: str) -> Iterator[bytes]:
    """Pass chunks on: raise ApiUnavailable if the stream fails, but leave what its consumer raises as it is."""
    while True:
        with reading(address):
            chunk = next(chunks, b"")
        if not chunk:
            return
        yield chunk


def _created(answer: object) -> Batch:
    try:
        return batch_of(answer)
    except UNREADABLE as error:
        error_name = type(error).__name__
        raise MaybeSent(
            f"the answer to the create could not be read: {error_name}."
        ) from None
