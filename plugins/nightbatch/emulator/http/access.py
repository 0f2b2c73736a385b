"""Access checks: a key in one of two headers, a version of the API, this server's own host name and origin."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from nightbatch.emulator.errors import ApiError, invalid
from nightbatch.emulator.wire import Betas, Headers

Place = tuple[str, int]
"""The name and port of a server."""
Names = frozenset[str]
"""Names of servers, some with a port."""

_VERSION = re.compile(r"20\d\d-\d\d-\d\d")


def check_access(headers: Headers, keys: frozenset[str]) -> None:
    """Raise the 401 of a missing or unknown key, the 400 of a missing or bad version. No `keys`: any key will do."""
    _check_key(headers, keys)
    _check_version(headers.get("anthropic-version"))


def _check_key(headers: Headers, keys: frozenset[str]) -> None:
    bearer = headers.get("authorization")
    key = headers.get("x-api-key")
    if bearer is not None and not bearer.lower().startswith("bearer "):
        raise ApiError("authentication_error", "Invalid authorization header")
    bearer_token = (bearer or "")[7:].strip()
    credential = key or bearer_token
    if not credential:
        raise ApiError("authentication_error", "x-api-key header is required")
    if keys and credential not in keys:
        message = "invalid x-api-key" if key else "Invalid bearer token"
        raise ApiError("authentication_error", message)


def _check_version(api_version: str | None) -> None:
    if api_version is None:
        raise invalid("anthropic-version: header is required")
    if not _VERSION.fullmatch(api_version):
        raise invalid(f'anthropic-version: "{api_version}" is not a valid version')


def check_origin(
    headers: Headers,
    port: int,
    names: Names,
    allowed: Names,
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


def check_json(headers: Headers, *, has_body: bool) -> None:
    """Raise the 403 of a body that is not declared as JSON: a page may send other types without asking first."""
    content_type = headers.get("content-type")
    if content_type is None:
        if not has_body:
            return
        content_type = ""
    media_type = content_type.partition(";")[0].strip()
    if media_type.lower() != "application/json":
        raise ApiError("permission_error", "Content-Type: expected application/json.")


def _is_own(host: Place, port: int, names: Names, allowed: Names) -> bool:
    host_name, host_port = host
    if host_name in names and host_port == port:
        return True
    allowed_forms = {host_name, f"{host_name}:{host_port}"}
    return not allowed.isdisjoint(allowed_forms)


def _place_of(url: str) -> Place | None:
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
    if port is None:
        port = 443 if address.scheme == "https" else 80
    return address.hostname, port


def betas_of(headers: Headers, query: Mapping[str, str]) -> Betas:
    """Return the beta features asked for; `?beta=true` alone counts as one without a name."""
    beta_header = headers.get("anthropic-beta", "")
    beta_names = set[str]()
    for name in beta_header.split(","):
        beta_names.add(name.strip())
    beta_names.discard("")
    if query.get("beta") == "true":
        beta_names.add("true")
    return frozenset(beta_names)
