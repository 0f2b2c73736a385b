"""The Message Batches API through the official SDK, with its retries off.

Creates go raw, since the SDK sends a lost create again without an idempotency key and so buys twice; reads go raw,
since its models accept an interrupted stream as a complete one. This file alone decides what a status means for the
buyer.
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
    address,
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
COUNT_TIMEOUT_SECONDS = 10.0
"""How long counting tokens may take: an estimate can do without."""
MAX_RETRY_AFTER_SECONDS = 900.0
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
OVERLOADED = 529
RETRYABLE_STATUSES = {400, 409, 429, OVERLOADED}


class AnthropicBatches:
    """Buy and read batches with a synchronous SDK client."""

    def __init__(self, client: anthropic.Anthropic) -> None:
        self._client: anthropic.Anthropic = hardened(client)
        self._address = address(client)

    def create(self, body: Body) -> Batch:
        sent_body = _SentBody(body, self._address)
        headers = {"content-type": "application/json", "content-length": str(body.size)}
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
        headers = {"accept": "application/x-jsonl, application/binary"}
        request_options = {"headers": headers, **NO_REDIRECT}
        path = f"{batch_path(batch)}/results"
        client: Any = self._client
        with reading(self._address):
            response = client.get(
                path,
                cast_to=httpx2.Response,
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
        cause_name = type(cause).__name__
        if isinstance(cause, _NEVER_OPENED) or self._unsent_bytes > 0:
            return NotSent(
                f"the API at {self._address} could not be reached: {cause_name}."
            )
        return MaybeSent(
            f"the answer of {self._address} to the create was lost: {cause_name}."
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


def create_error(error: anthropic.APIStatusError) -> ApiError:
    """Say what a status on a create means: a definite refusal, an unknown outcome, or trouble with the account."""
    description = _description(error)
    if _blames_account(error) or _has_unknown_code(error):
        return AccountStopped(
            f"{description} {_remedy(error)}, then run again: nothing is lost."
        )
    status = error.status_code
    if _may_have_created(status):
        return MaybeSent(f"the create may have succeeded: {description}")
    queue_is_full = status == 429 and bool(_QUEUE.search(_message(error)))
    return NotSent(
        description,
        retry_after=retry_after(error.response.headers),
        retryable=status in RETRYABLE_STATUSES,
        once=status == 400,
        full=queue_is_full,
    )


def _may_have_created(status: int) -> bool:
    """Tell whether a batch may exist although a create was answered with this status.

    A redirect says that the request belongs elsewhere: this host has not acted on it, and no other host was asked, so
    it is a definite refusal. Only 303 is sent after the action, and names where to see its result.
    """
    if status in {SEE_OTHER, 408}:
        return True
    return status >= 500 and status != OVERLOADED


def read_error(error: anthropic.APIStatusError) -> ApiError:
    """Say what a status on a read means."""
    description = _description(error)
    if _blames_account(error):
        return AccountStopped(f"{description} {_remedy(error)}, then run again.")
    if error.status_code in {404, 410}:
        return BatchGone(description)
    wait_seconds = retry_after(error.response.headers)
    return ApiUnavailable(description, retry_after=wait_seconds)


def _remedy(error: anthropic.APIStatusError) -> str:
    if error.status_code == 401:
        return "Check the API key of the anthropic connection"
    return "Fix the account"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `retry-after` in seconds, at most a quarter of an hour."""
    try:
        wait_seconds = float(headers.get("retry-after") or "")
    except ValueError:
        return None
    return min(MAX_RETRY_AFTER_SECONDS, max(0.0, wait_seconds))


def _blames_account(error: anthropic.APIStatusError) -> bool:
    error_type = str(_error_object(error).get("type") or "")
    return answer_blames_account(
        error.status_code, error_type, _message(error), _code(error)
    )


def _has_unknown_code(error: anthropic.APIStatusError) -> bool:
    """Tell whether a create was refused with an unknown code that must be taken for trouble with the account.

    A time to come back, or the path of a field, shows that it is not about the account.
    """
    code = _code(error)
    if not code or code in PASSING_CODES:
        return False
    if error.status_code not in WORDED_STATUSES:
        return False
    names_time = retry_after(error.response.headers) is not None
    names_field = safe_words.field(_message(error)) is not None
    return not names_time and not names_field


def _code(error: anthropic.APIStatusError) -> str:
    """Return the `error_code` among the details, if there is one."""
    details = _error_object(error).get("details")
    if not isinstance(details, dict):
        return ""
    return str(details.get("error_code") or "")


def _description(error: anthropic.APIStatusError) -> str:
    """Name status, type, code, field and request id: the API's words may repeat what was sent."""
    status = error.status_code
    if 300 <= status < 400:
        return (
            f"the API answered {status}, a redirect, which is not followed: prompts would go to another "
            "host. Set the host of the connection to the API's own address."
        )
    error_type = str(_error_object(error).get("type") or "error")
    parts = [safe_words.summary(error_type, _message(error))]
    if code := _code(error):
        parts.append(safe_words.name(code))
    if request_id := safe_words.request_id(error.response.headers.get("request-id")):
        parts.append(f"request-id {request_id}")
    return f"the API answered {status} {', '.join(parts)}."


def _message(error: anthropic.APIStatusError) -> str:
    message = _error_object(error).get("message")
    if not message:
        return "no message"
    return str(message)[:300].rstrip(".")


def _error_object(error: anthropic.APIStatusError) -> dict[str, Any]:
    body = error.body
    if not isinstance(body, dict):
        return {}
    error_object = body.get("error", body)
    return error_object if isinstance(error_object, dict) else {}


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


@contextmanager
def passing_ended() -> Iterator[None]:
    """Pass over what a batch that has ended may answer to a cancel."""
    try:
        yield
    except anthropic.APIStatusError as error:
        if error.status_code not in {400, 409}:
            raise


@contextmanager
def reading(address: str) -> Iterator[None]:
    """Raise what a failed read, or an answer that cannot be read, means."""
    try:
        yield
    except anthropic.APIStatusError as error:
        raise read_error(error) from None
    except UNREADABLE as error:
        error_name = type(error).__name__
        raise ApiUnavailable(
            f"the API at {address} could not be read: {error_name}."
        ) from None
