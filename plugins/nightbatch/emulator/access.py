"""Who may call: a key in one of two headers, and a version of the API."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from nightbatch.emulator.errors import ApiError, invalid

_VERSION = re.compile(r"20\d\d-\d\d-\d\d")


def check_access(headers: Mapping[str, str], keys: frozenset[str]) -> None:
    """Raise the 401 of a missing or unknown key, the 400 of a missing or bad version. No `keys`: any key will do."""
    bearer = headers.get("authorization")
    key = headers.get("x-api-key")
    if bearer is not None and not bearer.lower().startswith("bearer "):
        raise ApiError("authentication_error", "Invalid authorization header")
    given = key or (bearer or "")[7:].strip()
    if not given:
        raise ApiError("authentication_error", "x-api-key header is required")
    if keys and given not in keys:
        raise ApiError("authentication_error", "invalid x-api-key" if key else "Invalid bearer token")
    version = headers.get("anthropic-version")
    if version is None:
        raise invalid("anthropic-version: header is required")
    if not _VERSION.fullmatch(version):
        raise invalid(f'anthropic-version: "{version}" is not a valid version')


def check_origin(headers: Mapping[str, str], names: frozenset[str]) -> None:
    """Raise the 403 of a call by another name, or from a page of another origin, which a browser may be made to send.

    `names`: host names that callers may use, without a port.
    """
    host = headers.get("host", "")
    if _name_of(f"//{host}") not in names:
        raise ApiError("permission_error", "The Host header names none of this server's own names.")
    origin = headers.get("origin")
    if origin is not None and _name_of(origin) not in names:
        raise ApiError("permission_error", "Pages of another origin may not call this server.")


def _name_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def betas_of(headers: Mapping[str, str], query: Mapping[str, str]) -> frozenset[str]:
    """Return the beta features asked for; `?beta=true` alone counts as one without a name."""
    named = {name.strip() for name in headers.get("anthropic-beta", "").split(",") if name.strip()}
    return frozenset(named | ({"true"} if query.get("beta") == "true" else set()))
