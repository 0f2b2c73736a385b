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
        raise ApiError(
            "authentication_error",
            "invalid x-api-key" if key else "Invalid bearer token",
        )
    version = headers.get("anthropic-version")
    if version is None:
        raise invalid("anthropic-version: header is required")
    if not _VERSION.fullmatch(version):
        raise invalid(f'anthropic-version: "{version}" is not a valid version')


def check_origin(
    headers: Mapping[str, str],
    port: int,
    names: frozenset[str],
    allowed: frozenset[str],
) -> None:
    """Raise the 403 of a call by another name, or from a page of another origin, which a browser may be made to send.

    `names` are this server's own, at its own `port`; `allowed` are further ones, as NAME (any port) or NAME:PORT.
    """
    host = _place_of(f"http://{headers.get('host', '')}")
    if host is None or not _is_own(host, port, names, allowed):
        raise ApiError(
            "permission_error",
            "Host: expected a loopback name with this server's port. Start it with --allow-host NAME for another name.",
        )
    origin = headers.get("origin")
    if origin is not None and _place_of(origin) != host:
        raise ApiError(
            "permission_error",
            "Origin: a page of another origin may not call this server.",
        )


def check_json(headers: Mapping[str, str], *, has_body: bool) -> None:
    """Raise the 403 of a body that is not declared as JSON: a page may send other types without asking first."""
    kind = headers.get("content-type")
    if kind is None and not has_body:
        return
    if (kind or "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError("permission_error", "Content-Type: expected application/json.")


def _is_own(
    host: tuple[str, int], port: int, names: frozenset[str], allowed: frozenset[str]
) -> bool:
    name = host[0]
    own = name in names and host[1] == port
    return own or name in allowed or f"{name}:{host[1]}" in allowed


def _place_of(url: str) -> tuple[str, int] | None:
    """Return the name and port of an address, None where it has none."""
    try:
        address = urlsplit(url)
        port = address.port
    except ValueError:
        return None
    if not address.hostname:
        return None
    if address.username is not None or address.password is not None:
        return None
    default = 443 if address.scheme == "https" else 80
    return address.hostname, default if port is None else port


def betas_of(headers: Mapping[str, str], query: Mapping[str, str]) -> frozenset[str]:
    """Return the beta features asked for; `?beta=true` alone counts as one without a name."""
    named = {
        name.strip()
        for name in headers.get("anthropic-beta", "").split(",")
        if name.strip()
    }
    return frozenset(named | ({"true"} if query.get("beta") == "true" else set()))
