"""What a result is: the one table that turns a result line into a row's status.

Requests with a settled status are not sent again until they change; the others are lost and may be sent again.
What a future API may add (a result type, a stop reason, an error type) is `errored` with its name: never an answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from nightbatch.messages import safe_words
from nightbatch.messages.account import blames_account


class Status(StrEnum):
    """The status of a request, and of every row that shares it."""

    ANSWERED = "answered"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    REJECTED = "rejected"
    INVALID = "invalid"
    EXPIRED = "expired"
    CANCELED = "canceled"
    ERRORED = "errored"
    MISSING = "missing"


UNREADABLE = "of another form"
"""Replaces a stop reason or a result type that is not a plain name: it is never quoted."""
SETTLED = frozenset(
    {Status.ANSWERED, Status.REFUSED, Status.TRUNCATED, Status.REJECTED}
)

TABLE: dict[tuple[str, str], Status] = {
    ("succeeded", "end_turn"): Status.ANSWERED,
    ("succeeded", "stop_sequence"): Status.ANSWERED,
    ("succeeded", "tool_use"): Status.ANSWERED,
    ("succeeded", "refusal"): Status.REFUSED,
    ("succeeded", "max_tokens"): Status.TRUNCATED,
    ("succeeded", "model_context_window_exceeded"): Status.TRUNCATED,
    ("succeeded", "pause_turn"): Status.ERRORED,
    ("errored", "invalid_request_error"): Status.REJECTED,
    ("errored", "not_found_error"): Status.REJECTED,
    ("errored", "request_too_large"): Status.REJECTED,
    ("errored", "api_error"): Status.ERRORED,
    ("errored", "overloaded_error"): Status.ERRORED,
    ("errored", "rate_limit_error"): Status.ERRORED,
    ("errored", "timeout_error"): Status.ERRORED,
    ("errored", "billing_error"): Status.ERRORED,
    ("errored", "permission_error"): Status.ERRORED,
    ("errored", "authentication_error"): Status.ERRORED,
    ("canceled", ""): Status.CANCELED,
    ("expired", ""): Status.EXPIRED,
}
"""By result type and, within it, the stop reason or the error's type. `answered` means: so far; an answer that does not
fit its type becomes `invalid`."""


def status_of_error(
    error_type: str, message: str, code: str = ""
) -> tuple[Status, bool]:
    """Judge an `errored` result: its status, and whether the account is at fault rather than the row."""
    is_account = blames_account(error_type, message, code)
    if is_account:
        return Status.ERRORED, True
    outcome = ("errored", error_type)
    status = TABLE.get(outcome, Status.ERRORED)
    return status, False


def status_of_stop(stop_reason: str | None) -> tuple[Status, str | None]:
    """Judge a `succeeded` result by why the model stopped; the reason is None where it is an answer so far."""
    outcome = ("succeeded", stop_reason or "")
    status = TABLE.get(outcome, Status.ERRORED)
    if status is Status.ANSWERED:
        return status, None
    shown_reason = safe_words.name(stop_reason, UNREADABLE)
    reason = f"stop_reason {shown_reason}"
    return status, reason


def status_of_type(result_type: str) -> tuple[Status, str]:
    """Judge a result that has neither message nor error."""
    outcome = (result_type, "")
    status = TABLE.get(outcome, Status.ERRORED)
    if status is not Status.ERRORED:
        return status, result_type
    shown_type = safe_words.name(result_type, UNREADABLE)
    reason = f"result type {shown_type}"
    return status, reason


def most_common_error(errors: Mapping[str, int]) -> str:
    """Name the most common error, fit for a log: of the API's errors the type and the field, never the message."""
    if not errors:
        return "no reason was given"
    error_counts = Counter[str]()
    for error, count in errors.items():
        shown_error = safe_words.shown(error)
        error_counts[shown_error] += count
    return min(error_counts, key=lambda error: (-error_counts[error], error))
