"""What an error of boto3 means: the codes of S3's answers, and the error of ours for each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import (
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSLError,
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
UNTRUSTED = (
    "its certificate is not trusted; a network with an authority of its own needs AWS_CA_BUNDLE, or `verify` in the"
    " extra of the aws connection, with that authority among the public ones"
)
PROXY_FAILED = (
    "the proxy that HTTPS_PROXY or the connection names did not let it through"
)
_ARROW_DENIED = re.compile(r"AWS Error (ACCESS_DENIED|UNKNOWN \(HTTP status 403\))")
_ARROW_UNTRUSTED = re.compile(r"curlCode: 60\b")
"""How pyarrow, whose errors have no codes, words an answer 403 and a certificate of an unknown authority."""


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


def _reason(error: Exception) -> str:
    """Say why a store did not answer: what is wrong with certificate or proxy, else the name of the error's class."""
    if isinstance(error, SSLError):
        return UNTRUSTED
    if isinstance(error, ProxyConnectionError):
        return PROXY_FAILED
    return type(error).__name__


def file_error(error: OSError, url: str) -> StoreError:
    """Return the error of ours that pyarrow's failure to open an object means."""
    reason = str(error)
    if _ARROW_DENIED.search(reason):
        return StoreDenied(f"{url} cannot be opened: {reason}")
    if _ARROW_UNTRUSTED.search(reason):
        reason = f"{UNTRUSTED}."
    return StoreError(f"{url} cannot be opened: {reason}")


def store_error(error: Exception, url: str) -> StoreError:
    """Return the error of ours that an answer of the store means."""
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return BadCredentials(
            f"{url}: no credentials; check the connection's login and password."
        )
    if isinstance(error, ParamValidationError):
        return StoreError(f"{url}: is no name that the store could hold.")
    if not isinstance(error, ClientError):
        return StoreUnavailable(
            f"{url}: the store{_place(error)} did not answer: {_reason(error)}."
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
