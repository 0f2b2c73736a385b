"""The kinds of fault, as tables: where each may be set, and the error response it causes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nightbatch.emulator.errors import ApiError, Details
from nightbatch.emulator.wire import Headers

Options = Mapping[str, Any]
"""How a fault differs from others of its kind."""

CREDIT = (
    "Your credit balance is too low to access the Anthropic API."
    " Please go to Plans & Billing to upgrade or purchase credits."
)
HTML = "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>{status} {reason}</h1></center>\r\n</body>\r\n</html>\r\n"  # noqa: E501


@dataclass(frozen=True)
class ErrorKind:
    """An error response. `html`: it comes from the edge, not from the API."""

    kind: str
    message: str
    status: int
    details: Details | None = None
    retry_after: int | None = None
    html: bool = False
    headers: Headers = field(default_factory=dict)


ERROR_KINDS = {
    "status": ErrorKind("api_error", "Internal server error", 500),
    "api_error": ErrorKind("api_error", "Internal server error", 500),
    "bad_gateway": ErrorKind("api_error", "Bad Gateway", 502, html=True),
    "unavailable": ErrorKind("api_error", "Service Unavailable", 503, html=True),
    "timeout": ErrorKind("timeout_error", "Request timed out", 504),
    "overloaded": ErrorKind("overloaded_error", "Overloaded", 529),
    "rate_limit": ErrorKind(
        "rate_limit_error",
        "This request would exceed your organization's rate limit of 4,000 requests per minute.",
        429,
        retry_after=1,
        headers={"anthropic-ratelimit-requests-remaining": "0"},
    ),
    "ramp_limit": ErrorKind(
        "rate_limit_error",
        "This request would exceed your organization's ramp limit, which caps how fast usage can grow.",
        429,
        {"error_code": "ramp_limit_exceeded"},
        retry_after=2,
    ),
    "spend_limit": ErrorKind(
        "rate_limit_error",
        "Your organization has crossed the monthly API usage threshold of its API tier.",
        429,
        {"error_code": "enforced_spend_limit_reached"},
        headers={"x-should-retry": "false"},
    ),
    "queue_full": ErrorKind(
        "rate_limit_error",
        "This request would exceed your organization's limit of batch requests in the processing queue.",
        429,
        retry_after=2,
    ),
    "usage_limit": ErrorKind(
        "invalid_request_error",
        "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
        400,
    ),
    "credit": ErrorKind("invalid_request_error", CREDIT, 400),
    "on_hold": ErrorKind(
        "invalid_request_error",
        "This organization has been disabled.",
        400,
        {"error_code": "organization_on_hold"},
    ),
    "unauthorized": ErrorKind("authentication_error", "invalid x-api-key", 401),
    "billing": ErrorKind(
        "billing_error",
        "There is an issue with your billing or payment information.",
        402,
    ),
    "permission": ErrorKind(
        "permission_error",
        "Your API key does not have permission to use the resource.",
        403,
    ),
    "not_found": ErrorKind("not_found_error", "Message batch not found.", 404),
    "conflict": ErrorKind(
        "conflict_error", "The resource was modified concurrently.", 409
    ),
    "too_large": ErrorKind(
        "request_too_large", "Request Entity Too Large", 413, html=True
    ),
}

TRANSPORT = frozenset({"drop_before", "drop_after", "delay", "stall"})
LINES = frozenset(
    {
        "garbled",
        "duplicated",
        "unknown_id",
        "unknown_type",
        "unknown_fields",
        "missing",
        "blank",
    }
)
ENDINGS = frozenset({"reset", "cut_mid_line", "cut_clean", "short", "stall"})
ROWS = frozenset(
    {
        "errored",
        "expired",
        "canceled",
        "refusal",
        "max_tokens",
        "context_window",
        "invalid_json",
        "wrong_schema",
        "empty",
        "thinking_only",
        "pause_turn",
        "unknown_stop",
    }
)
BATCHES = frozenset({"never_ends", "canceled", "slow", "credit_out"})

_HTTP = TRANSPORT | frozenset(ERROR_KINDS)
KINDS = {
    "http": _HTTP,
    "results": _HTTP | LINES | ENDINGS,
    "row": ROWS,
    "batch": BATCHES,
}
WHERE = dict.fromkeys(
    ("create", "list", "retrieve", "cancel", "delete", "count_tokens", "any"), "http"
) | {
    "results": "results",
    "row": "row",
    "batch": "batch",
}
OPTIONS = frozenset(
    {
        "after",
        "seconds",
        "status",
        "type",
        "message",
        "details",
        "retry_after",
        "html",
        "at",
        "lines",
        "share",
        "reset",
        "close",
    }
)


def error_of_kind(what: str, options: Options) -> ApiError:
    """Return the error of a kind, as its options change it."""
    error_kind = ERROR_KINDS[what]
    headers = dict(error_kind.headers)
    retry_after = options.get("retry_after", error_kind.retry_after)
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    status = int(options.get("status", error_kind.status))
    message = options.get("message", error_kind.message)
    if options.get("html", error_kind.html):
        headers["content-type"] = "text/html"
        message = HTML.format(status=status, reason=message)
    error_type = options.get("type", error_kind.kind)
    details = options.get("details", error_kind.details)
    return ApiError(
        error_type, message, details=details, headers=headers, status=status
    )
