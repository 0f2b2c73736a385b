"""The Message Batches API through the official SDK, with its retries off.

Creates go raw, since the SDK sends a lost create again without an idempotency key and so buys twice; reads go raw,
since its models take a failed stream for a whole one. What a status means for the buyer is told in one place, here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import anthropic
import httpx2

from nightbatch.errors import (
    AccountStopped,
    ApiError,
    ApiUnavailable,
    BatchGone,
    Incomplete,
    MaybeSent,
    NightbatchError,
    NotSent,
)
from nightbatch.ids import BatchId
from nightbatch.io.anthropic_client import (
    NO_REDIRECT,
    PATH,
    batch_path,
    checked_counts,
    checked_id,
    hardened,
    page_path,
)
from nightbatch.messages import safe_words
from nightbatch.messages.account import (
    PASSING_CODES,
    WORDED_STATUSES,
    answer_blames_account,
)
from nightbatch.ports import Batch, Body, Page

PAGE = 1000
COUNT = 10.0
"""Seconds that counting tokens may take: an estimate can do without."""
MAX_RETRY_AFTER = 900.0
STREAM: Any = anthropic.Stream[Any]
_QUEUE = re.compile(r"\bqueue\b", re.I)
_NEVER_OPENED = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
)
UNREADABLE = (
    anthropic.AnthropicError,
    httpx2.HTTPError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What the SDK, and the reading of an answer, raise where it is not what it should be."""
SEE_OTHER = 303


class AnthropicBatches:
    """Buy and read batches with a synchronous SDK client."""

    def __init__(self, client: anthropic.Anthropic) -> None:
        self._client: anthropic.Anthropic = hardened(client)

    def create(self, body: Body) -> Batch:
        sending = _Sending(body)
        headers = {"content-type": "application/json", "content-length": str(body.size)}
        try:
            options: Any = {"headers": headers, **NO_REDIRECT}
            answer = self._client.post(
                PATH, cast_to=object, content=iter(sending), options=options
            )
        except UNREADABLE as error:
            raise sending.judge(error) from None
        return _created(answer)

    def page(self, after: BatchId | None = None) -> Page:
        try:
            with _reading():
                return page_of(
                    self._client.get(
                        page_path(after, PAGE), cast_to=object, options=NO_REDIRECT
                    )
                )
        except BatchGone as error:  # the batch that `after` names: begin again
            raise ApiUnavailable(str(error)) from None

    def batch(self, batch: BatchId) -> Batch:
        with _reading():
            return batch_of(
                self._client.get(batch_path(batch), cast_to=object, options=NO_REDIRECT)
            )

    def cancel(self, batch: BatchId) -> Batch:
        with _reading(), passing_ended():
            self._client.post(
                f"{batch_path(batch)}/cancel", cast_to=object, options=NO_REDIRECT
            )
        return self.batch(batch)

    def count_tokens(self, params: dict[str, Any]) -> int:
        options: Any = {"timeout": COUNT, **NO_REDIRECT}
        with _reading():
            answer = self._client.post(
                "/v1/messages/count_tokens",
                cast_to=object,
                body=params,
                options=options,
            )
            return max(0, int(_object(answer)["input_tokens"]))

    @contextmanager
    def results(self, batch: BatchId) -> Iterator[Iterator[bytes]]:
        """Stream the results from the connection's own host: the batch's `results_url` may name any other."""
        options = {
            "headers": {"accept": "application/x-jsonl, application/binary"},
            **NO_REDIRECT,
        }
        path = f"{batch_path(batch)}/results"
        client: Any = self._client
        with _reading():
            response = client.get(
                path,
                cast_to=httpx2.Response,
                options=options,
                stream=True,
                stream_cls=STREAM,
            )
        try:
            yield _chunks(response.iter_bytes())
        finally:
            response.close()


class _Sending:
    """A body on its way, counted: what was not handed over whole cannot have bought anything."""

    def __init__(self, body: Body) -> None:
        self._body, self._left = body, body.size

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._body.chunks:
            self._left -= len(chunk)
            yield chunk

    def judge(self, error: Exception) -> NightbatchError:
        """Say what an error means for the purchase."""
        if isinstance(error, anthropic.APIStatusError):
            told = create_error(error)
            return (
                NotSent(str(told))
                if isinstance(told, MaybeSent) and self._left > 0
                else told
            )
        cause = error.__cause__ or error
        if isinstance(cause, Incomplete):
            return cause
        if isinstance(cause, NightbatchError):
            return NotSent(f"the body was not sent whole: {cause}")
        if isinstance(cause, _NEVER_OPENED) or self._left > 0:
            return NotSent(f"the API could not be reached: {type(cause).__name__}.")
        return MaybeSent(f"the answer to the create was lost: {type(cause).__name__}.")


def page_of(answer: object) -> Page:
    """Read one page of the listing."""
    page = _object(answer)
    batches = [batch_of(listed) for listed in page["data"]]
    if not (page.get("has_more") and batches):
        return Page(batches, None)
    return Page(batches, BatchId(checked_id(page.get("last_id") or batches[-1].id)))


def batch_of(answer: object) -> Batch:
    """Read one batch; what is not needed is not looked at."""
    batch = _object(answer)
    expires = batch.get("expires_at")
    ended = batch.get("ended_at")
    return Batch(
        id=BatchId(checked_id(batch["id"])),
        created_at=_time(batch["created_at"]),
        ended=batch["processing_status"] == "ended",
        canceling=batch["processing_status"] == "canceling",
        counts=checked_counts(_object(batch["request_counts"])),
        expires_at=_time(expires) if expires else None,
        archived=batch.get("archived_at") is not None,
        ended_at=_time(ended) if ended else None,
    )


def _object(answer: object) -> dict[str, Any]:
    """Return a JSON object; raise TypeError for anything else, such as a gateway's page of text."""
    if not isinstance(answer, dict):
        raise TypeError(f"a JSON object was expected, not {type(answer).__name__}")
    return answer


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def create_error(error: anthropic.APIStatusError) -> ApiError:
    """Say what a status on a create means: a definite no, a maybe, or trouble with the account.

    A redirect says that the request belongs elsewhere, so this host has made nothing of it, and nobody else was asked:
    a definite no. Only 303 follows what was done, and names where to see it: a maybe.
    """
    told = _told(error)
    if _account(error) or _unknown_code(error):
        return AccountStopped(
            f"{told} {_remedy(error)}, then run again: nothing is lost."
        )
    status = error.status_code
    if status in {SEE_OTHER, 408, 500, 502, 503, 504} or (
        status > 500 and status != 529
    ):
        return MaybeSent(f"the create may have succeeded: {told}")
    after = retry_after(error.response.headers)
    retryable, full = (
        status in {400, 409, 429, 529},
        status == 429 and bool(_QUEUE.search(_message(error))),
    )
    return NotSent(
        told, retry_after=after, retryable=retryable, once=status == 400, full=full
    )


def read_error(error: anthropic.APIStatusError) -> ApiError:
    """Say what a status on a read means."""
    if _account(error):
        return AccountStopped(f"{_told(error)} {_remedy(error)}, then run again.")
    if error.status_code in {404, 410}:
        return BatchGone(_told(error))
    return ApiUnavailable(_told(error), retry_after=retry_after(error.response.headers))


def _remedy(error: anthropic.APIStatusError) -> str:
    return (
        "Check the API key of the anthropic connection"
        if error.status_code == 401
        else "Mend the account"
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `retry-after` in seconds, at most a quarter of an hour."""
    try:
        return min(MAX_RETRY_AFTER, max(0.0, float(headers.get("retry-after") or "")))
    except ValueError:
        return None


def _account(error: anthropic.APIStatusError) -> bool:
    inner = _inner(error)
    return answer_blames_account(
        error.status_code, str(inner.get("type") or ""), _message(error), _code(error)
    )


def _unknown_code(error: anthropic.APIStatusError) -> bool:
    """Tell whether a create was refused with a code that is not known: the account's until shown otherwise.

    It is shown otherwise by a time to come back and by the path of a field.
    """
    code = _code(error)
    if not code or code in PASSING_CODES or error.status_code not in WORDED_STATUSES:
        return False
    return (
        retry_after(error.response.headers) is None
        and safe_words.field(_message(error)) is None
    )


def _code(error: anthropic.APIStatusError) -> str:
    """Return the `error_code` among the details, if there is one."""
    details = _inner(error).get("details")
    return str(details.get("error_code") or "") if isinstance(details, dict) else ""


def _told(error: anthropic.APIStatusError) -> str:
    """Name status, type, code, field and request id: the API's words may repeat what was sent."""
    if 300 <= error.status_code < 400:
        return (
            f"the API answered {error.status_code}, a redirect, which is not followed: prompts would go to another "
            "host. Set the host of the connection to the API's own address."
        )
    parts = [
        safe_words.summary(str(_inner(error).get("type") or "error"), _message(error))
    ]
    if code := _code(error):
        parts.append(safe_words.name(code))
    if request_id := safe_words.request_id(error.response.headers.get("request-id")):
        parts.append(f"request-id {request_id}")
    return f"the API answered {error.status_code} {', '.join(parts)}."


def _message(error: anthropic.APIStatusError) -> str:
    message = _inner(error).get("message")
    return str(message)[:300].rstrip(".") if message else "no message"


def _inner(error: anthropic.APIStatusError) -> dict[str, Any]:
    body = error.body
    inner = body.get("error", body) if isinstance(body, dict) else None
    return inner if isinstance(inner, dict) else {}


def _chunks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Tell a stream that breaks apart from one that its reader breaks off."""
    while True:
        with _reading():
            chunk = next(chunks, b"")
        if not chunk:
            return
        yield chunk


def _created(answer: object) -> Batch:
    try:
        return batch_of(answer)
    except UNREADABLE as error:
        raise MaybeSent(
            f"the answer to the create could not be read: {type(error).__name__}."
        ) from None


@contextmanager
def passing_ended() -> Iterator[None]:
    """Pass over what a batch that has ended may answer to a cancel."""
    try:
        yield
    except anthropic.APIStatusError as error:
        if error.status_code not in {400, 409}:
            raise


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
