"""What may be shown of an error from the API: never its whole message, which may repeat what was sent."""

from __future__ import annotations

import re
import unicodedata

KEPT = 1_000
"""Most characters of the API's message that a row keeps."""
SHOWN = 200
"""Most characters of one error in a log."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_FIELD = re.compile(r"^([A-Za-z_][\w.\[\]]{0,127}):", re.ASCII)


def name(value: object, otherwise: str = "error") -> str:
    """Return an error's type or code if it has the form of one."""
    return value if isinstance(value, str) and _NAME.fullmatch(value) else otherwise


def request_id(value: str | None) -> str | None:
    """Return a request's id if it has the form of one."""
    return value if value and _REQUEST_ID.fullmatch(value) else None


def field(message: str) -> str | None:
    """Return the path of the field that a message begins with, such as `requests.0.params.max_tokens`."""
    field_match = _FIELD.match(message)
    return field_match.group(1) if field_match else None


def printable(text: str) -> str:
    """Return a text without control characters; line breaks become spaces."""
    spaced = re.sub(r"\s+", " ", text)
    return "".join(
        character
        for character in spaced
        if unicodedata.category(character) not in {"Cc", "Cf", "Cs"}
    )


def row_error(error_type: str, message: str) -> str:
    """Return what a row says of an error of the API: its type and its message, without control characters."""
    kept_message = printable(message[:KEPT])
    return f"{name(error_type)}: {kept_message}"


def shown(error: str) -> str:
    """Return what a log may show of a row's error: of the API's errors the type and the field; ours as they are."""
    error_type, separator, message = error.partition(": ")
    if separator and " " not in error_type:
        return summary(error_type, message)
    return printable(error)[:SHOWN].rstrip(".")


def summary(error_type: str, message: str) -> str:
    """Name an error by its type and, where the message begins with one, the field."""
    error_name = name(error_type)
    field_path = field(message)
    return f"{error_name} at {field_path}" if field_path else error_name
