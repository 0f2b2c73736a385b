"""How the official SDK's clients are used: no retries, no redirects, no content in logs, traces or URLs.

And no key over plain http to another machine, unless a deployment allows it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from nightbatch.environment import ALLOW_HTTP, read
from nightbatch.errors import BatchGone, SettingsError

QUIET_LOGGERS = (
    "anthropic",
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "botocore",
    "boto3",
    "s3transfer",
    "urllib3",
)
"""Libraries that write request bodies, or headers with keys, at DEBUG."""
NO_REDIRECT: Any = {"follow_redirects": False}
"""Request options: a redirect would send a prompt to a host that the connection does not name."""
PATH = "/v1/messages/batches"
_KIND = re.compile(r"[a-z_]{1,40}", re.ASCII)
_BATCH_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


def quiet() -> None:
    """Keep the libraries below from logging what is sent, whatever the log level is or will be."""
    for logger_name in QUIET_LOGGERS:
        logger = logging.getLogger(logger_name)
        logger.setLevel(max(logging.INFO, logger.getEffectiveLevel()))


def hardened(client: Any, **options: Any) -> Any:
    """Return an SDK client, sync or async, that sends each request once; the libraries below it are quiet.

    Raises SettingsError where its host is another machine and is reached by plain http.
    """
    quiet()
    _require_private(client.base_url)
    telemetry = getattr(client, "open_telemetry", None)
    if telemetry:  # older SDKs have none; the environment may ask for content
        safe_traces = {**telemetry["traces"], "content_mode": "metadata_only"}
        options["open_telemetry"] = {**telemetry, "traces": safe_traces}
    return client.with_options(max_retries=0, **options)


def _require_private(base_url: Any) -> None:
    is_plain_http = base_url.scheme == "http"
    if not is_plain_http or _is_loopback(base_url.host):
        return
    if read(ALLOW_HTTP) == "1":
        return
    raise SettingsError(
        f"the API's host {base_url.host!r} is reached by plain http: the key and all prompts can be read on the way. "
        f"Use https, or set {ALLOW_HTTP}=1 where the network in between is trusted, such as within a cluster."
    )


def address(client: Any) -> str:
    """Return the host and port of a client: what a message may name of its connection."""
    base_url = client.base_url
    default_port = 80 if base_url.scheme == "http" else 443
    return f"{base_url.host}:{base_url.port or default_port}"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def batch_path(batch: str) -> str:
    """Return the path of a batch. Raises BatchGone for text that cannot be an id: no batch has it."""
    _require_id(batch)
    return f"{PATH}/{batch}"


def page_path(after: str | None, limit: int) -> str:
    """Return the path of one page of the listing. Raises BatchGone where `after` cannot be an id."""
    first_page = f"{PATH}?limit={limit}"
    if not after:
        return first_page
    _require_id(after)
    return f"{first_page}&after_id={after}"


def _require_id(batch: str) -> None:
    if not _BATCH_ID.fullmatch(batch):
        raise BatchGone("no batch has an id of this form.")


def checked_id(batch: object) -> str:
    """Return a batch's id; raise ValueError for anything that cannot be one, before it gets into a URL or a key."""
    if not isinstance(batch, str) or not _BATCH_ID.fullmatch(batch):
        raise ValueError("the batch's id has not the form of one")
    return batch


def checked_counts(counts: Mapping[str, Any]) -> dict[str, int]:
    """Return the request count by kind of result; raise ValueError unless kinds, which are shown, are plain names."""
    are_plain = all(_KIND.fullmatch(kind) for kind in counts)
    if not are_plain:
        raise ValueError("a kind of results is no plain name")
    return {kind: int(count or 0) for kind, count in counts.items()}
