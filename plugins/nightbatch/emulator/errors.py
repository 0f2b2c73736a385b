"""The API's errors as values: one class, one table of statuses, one body. `http/middleware` makes responses of them."""

from collections.abc import Mapping
from typing import Any

from nightbatch.emulator.wire import Headers, Json

Details = Mapping[str, Any]
"""What an error says besides its type and message."""

STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class ApiError(Exception):
    """An error that the client gets in place of an answer."""

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        details: Details | None = None,
        headers: Headers | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.details = details
        self.headers = dict(headers or {})
        self.status = status or STATUS[kind]

    def body(self, request_id: str) -> Json:
        """Return the error envelope: `{"type":"error","error":{…},"request_id":…}`."""
        error_body = envelope(self.kind, self.message, self.details)
        error_body["request_id"] = request_id
        return error_body


def envelope(kind: str, message: str, details: Details | None = None) -> Json:
    """Return the object that both an error response and an `errored` row carry."""
    error: Json = {"type": kind, "message": message}
    if details is not None:
        error["details"] = dict(details)
    return {"type": "error", "error": error}


def invalid(message: str) -> ApiError:
    """Return a 400: the request is invalid."""
    return ApiError("invalid_request_error", message)
