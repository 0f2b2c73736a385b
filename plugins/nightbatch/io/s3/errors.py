"""What an error of boto3 means: the codes of S3's answers, and the error of ours for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import (
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from nightbatch.errors import (
    Absent,
    BadCredentials,
    NoBucket,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)

_ABSENT = {"NoSuchKey", "404", "NotFound", "NoSuchBucket"}
_DENIED = {"403", "AccessDenied", "Forbidden"}
_CREDENTIALS = {
    "401",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
}
NO_BYTE = {"InvalidRange", "416"}
_LATER = {
    "SlowDown",
    "RequestTimeout",
    "Throttling",
    "ThrottlingException",
    "RequestTimeTooSkewed",
    "429",
}
TAKEN = {"PreconditionFailed", "412"}
BUSY = {"ConditionalRequestConflict", "409", "OperationAborted"}
UNFIT = {"NotImplemented", "501"}
COMPLETED = {"NoSuchUpload"}


def code_of(error: ClientError) -> str:
    """Return the code that the store's answer names, such as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """Return the HTTP status of the store's answer."""
    return int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0))


def _place(error: Exception) -> str:
    """Return the host and port that an error of the connection names, as ` at host:port`; empty where it names none."""
    error_fields: Mapping[str, Any] = getattr(error, "kwargs", {})
    endpoint = urlsplit(str(error_fields.get("endpoint_url") or ""))
    if not endpoint.hostname:
        return ""
    default_port = 80 if endpoint.scheme == "http" else 443
    return f" at {endpoint.hostname}:{endpoint.port or default_port}"


def store_error(error: Exception, url: str) -> StoreError:
    """Return the error of ours that an answer of the store means."""
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return BadCredentials(
            f"{url}: no credentials; check the connection's login and password."
        )
    if isinstance(error, ParamValidationError):
        return StoreError(f"{url}: is no name that the store could hold.")
    if not isinstance(error, ClientError):
        error_name = type(error).__name__
        return StoreUnavailable(
            f"{url}: the store{_place(error)} did not answer: {error_name}."
        )
    code = code_of(error)
    if code == "NoSuchBucket":
        return NoBucket(f"{url}: there is no such bucket.")
    if code in _ABSENT:
        return Absent(f"{url} is not there.")
    if code in _CREDENTIALS:
        return BadCredentials(f"{url}: the store refused the credentials ({code}).")
    if code in _DENIED:
        return StoreDenied(
            f"{url}: the store refused the credentials or the action ({code})."
        )
    is_temporary = code in _LATER or status_of(error) >= 500
    error_class = StoreUnavailable if is_temporary else StoreError
    return error_class(f"{url}: the store answered {code}.")
