"""When the account is at fault and not a request: one table for the answers of the API and for result lines.

Decided by `details.error_code` first, by the error's type and the status next, and by the message last, since older
answers have nothing else. Source: the published error codes of the Messages API, November 2026.
"""

from __future__ import annotations

import re

from nightbatch.messages import safe_words

ERROR_CODES = frozenset(
    {
        "enforced_spend_limit_reached",
        "workspace_human_review_disabled",
        "cmek_key_disabled",
        "claude_code_key_creator_not_member",
        "organization_on_hold",
        "linked_organization_spend_limit_reached",
        "linked_organization_billing_unavailable",
    }
)
PASSING_CODES = frozenset({"ramp_limit_exceeded"})
"""Codes that come with a `retry-after`: the account works, and the request may be sent again."""
ERROR_TYPES = frozenset({"authentication_error", "billing_error", "permission_error"})
STATUSES = frozenset({401, 402, 403})
WORDED_STATUSES = frozenset({400, 429})
"""Statuses whose meaning depends on the message."""
_ACCOUNT_PHRASES = re.compile(
    r"credit balance|purchase credits|\bbilling\b|usage limits?\b|spend(ing)? limit"
    r"|organi[sz]ation .*(on hold|disabled)|organi[sz]ation on hold",
    re.IGNORECASE,
)


def blames_account(error_type: str, message: str, code: str = "") -> bool:
    """Tell whether an error is about the account, both of a call and of a result line.

    A message that begins with the path of a field within the request is about that field, whatever it quotes.
    """
    if code in PASSING_CODES:
        return False
    if code in ERROR_CODES:
        return True
    if error_type in ERROR_TYPES:
        return True
    field_path = safe_words.field(message) or ""
    is_nested_field = "." in field_path or "[" in field_path
    if is_nested_field:
        return False
    return _ACCOUNT_PHRASES.search(message) is not None


def answer_blames_account(
    status: int, error_type: str, message: str, code: str = ""
) -> bool:
    """Tell whether the answer to a call is about the account."""
    if status in STATUSES:
        return True
    return status in WORDED_STATUSES and blames_account(error_type, message, code)
