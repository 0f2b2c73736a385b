"""Why the API could not be reached. Only names of classes and advice: the text of an error may hold a header."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from nightbatch.io.anthropic_sdk.http_library import http

UNTRUSTED = (
    "its certificate is not trusted; a network with an authority of its own needs SSL_CERT_FILE,"
    " with that authority among the public ones"
)
PROXY_FAILED = "the proxy that HTTPS_PROXY or ALL_PROXY names did not let it through"


def reason(error: BaseException) -> str:
    """Say why a request failed: what is wrong with certificate or proxy, else the name of the error's class."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return UNTRUSTED
        if isinstance(cause, http.ProxyError):
            return PROXY_FAILED
    return type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what has led to it, the latest first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
