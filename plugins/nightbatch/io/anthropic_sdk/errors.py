"""What a status, a failure or an unreadable answer means to the buyer. This file alone decides it, for both clients."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import anthropic

from nightbatch.errors import (
    AccountStopped,
    ApiError,
    ApiUnavailable,
    BatchGone,
    MaybeSent,
    NotSent,
)
from nightbatch.io.anthropic_sdk.http_library import http
from nightbatch.io.anthropic_sdk.unreachable import reason
from nightbatch.messages import safe_words
from nightbatch.messages.account import (
    PASSING_CODES,
    WORDED_STATUSES,
    answer_blames_account,
)

MAX_RETRY_AFTER_SECONDS = 900.0
_QUEUE = re.compile(r"\bqueue\b", re.I)
UNREADABLE = (
    anthropic.AnthropicError,
    http.HTTPError,
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
        raise ApiUnavailable(
            f"the API at {address} could not be read: {reason(error)}."
        ) from None
