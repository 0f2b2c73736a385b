"""How the official SDK's clients are used: no retries, no redirects, no content in logs, traces or URLs."""

from __future__ import annotations

import logging
import re
from typing import Any

from nightbatch.core.errors import BatchGone

QUIET_LOGGERS = ("anthropic", "httpx", "httpx2", "httpcore", "httpcore2", "botocore", "boto3", "s3transfer", "urllib3")
"""Libraries that write request bodies, or headers with keys, at DEBUG."""
NO_REDIRECT: Any = {"follow_redirects": False}
"""Request options: a redirect would send a prompt to a host that the connection does not name."""
PATH = "/v1/messages/batches"
_BATCH_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


def quiet() -> None:
    """Keep the libraries beneath from logging what is sent, whatever the log level is."""
    for logger_name in QUIET_LOGGERS:
        logger = logging.getLogger(logger_name)
        logger.setLevel(max(logging.INFO, logger.level))


def hardened(client: Any, **options: Any) -> Any:
    """Return an SDK client, sync or async, that sends each request once; the libraries beneath it are quiet."""
    quiet()
    return client.with_options(max_retries=0, **options)


def batch_path(batch: str) -> str:
    """Return the path of a batch. Raises BatchGone for what has not the form of an id: no batch has it."""
    if not _BATCH_ID.fullmatch(batch):
        raise BatchGone("no batch has an id of this form.")
    return f"{PATH}/{batch}"


def checked_id(batch: str) -> str:
    """Return a batch's id; raise ValueError for what has not the form of one, before it gets into a URL or a key."""
    if not isinstance(batch, str) or not _BATCH_ID.fullmatch(batch):
        raise ValueError("the batch's id has not the form of one")
    return batch
