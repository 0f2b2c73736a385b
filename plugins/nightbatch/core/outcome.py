"""What a result is: the one table that turns what is on the wire into a row's status.

Settled statuses are never asked again until the request changes; the others are lost and free to be asked again.
What a future API may add (a result type, a stop reason, an error type) is `errored` with its name: never an answer.
"""

from __future__ import annotations

import re
from enum import StrEnum


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


SETTLED = frozenset({Status.ANSWERED, Status.REFUSED, Status.TRUNCATED, Status.REJECTED})

BY_STOP_REASON = {
    "end_turn": Status.ANSWERED,
    "stop_sequence": Status.ANSWERED,
    "tool_use": Status.ANSWERED,
    "refusal": Status.REFUSED,
    "max_tokens": Status.TRUNCATED,
    "model_context_window_exceeded": Status.TRUNCATED,
}
BY_RESULT_TYPE = {"canceled": Status.CANCELED, "expired": Status.EXPIRED}
BY_ERROR_TYPE = {
    "invalid_request_error": Status.REJECTED,
    "not_found_error": Status.REJECTED,
    "request_too_large": Status.REJECTED,
}
ACCOUNT_ERRORS = frozenset({"billing_error", "permission_error", "authentication_error"})
_ACCOUNT_WORDS = re.compile(
    r"credit balance|billing|usage limit|spend(ing)? limit|organization .*(on hold|disabled)", re.IGNORECASE
)


def of_error(error_type: str, message: str) -> tuple[Status, bool]:
    """Judge an `errored` result: its status, and whether the account is at fault rather than the row."""
    if error_type in ACCOUNT_ERRORS or _ACCOUNT_WORDS.search(message):
        return Status.ERRORED, True
    return BY_ERROR_TYPE.get(error_type, Status.ERRORED), False


def of_stop(stop_reason: str | None) -> tuple[Status, str | None]:
    """Judge a `succeeded` result by why the model stopped; the reason is None where it is an answer so far."""
    status = BY_STOP_REASON.get(stop_reason or "", Status.ERRORED)
    return status, None if status is Status.ANSWERED else f"stop_reason {stop_reason}"
