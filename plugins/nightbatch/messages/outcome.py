"""What a result is: the one table that turns what is on the wire into a row's status.

Settled statuses are never asked again until the request changes; the others are lost and free to be asked again.
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
"""Stands for a stop reason or a result type that is no plain name: it is not quoted."""
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
"""By result type and, within it, the stop reason or the error's type. `answered` means: so far; the answer's own type
has the last word, and what does not fit it is `invalid`."""


def of_error(error_type: str, message: str, code: str = "") -> tuple[Status, bool]:
    """Judge an `errored` result: its status, and whether the account is at fault rather than the row."""
    if blames_account(error_type, message, code):
        return Status.ERRORED, True
    return TABLE.get(("errored", error_type), Status.ERRORED), False


def of_stop(stop_reason: str | None) -> tuple[Status, str | None]:
    """Judge a `succeeded` result by why the model stopped; the reason is None where it is an answer so far."""
    status = TABLE.get(("succeeded", stop_reason or ""), Status.ERRORED)
    return (
        status,
        None
        if status is Status.ANSWERED
        else f"stop_reason {safe_words.name(stop_reason, UNREADABLE)}",
    )


def of_kind(result_type: str) -> tuple[Status, str]:
    """Judge a result that has neither message nor error."""
    status = TABLE.get((result_type, ""), Status.ERRORED)
    if status is not Status.ERRORED:
        return status, result_type
    return status, f"result type {safe_words.name(result_type, UNREADABLE)}"


def commonest(errors: Mapping[str, int]) -> str:
    """Name the commonest error, fit for a log: of the API's errors the type and the field, never the words."""
    if not errors:
        return "no reason was given"
    counts = Counter[str]()
    for error, count in errors.items():
        counts[safe_words.shown(error)] += count
    return min(counts, key=lambda error: (-counts[error], error))
