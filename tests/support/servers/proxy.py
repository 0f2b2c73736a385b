"""A proxy before an S3 server that loses answers, cuts connections, or takes the conditions off a put."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP = {"connection", "transfer-encoding", "keep-alive"}
FAILURES = {
    "busy": (409, "ConditionalRequestConflict"),
    "unfit": (501, "NotImplemented"),
    "slow": (503, "SlowDown"),
}


class Proxy(ThreadingHTTPServer):
    """Passes on what it gets. `plan` says what to do with the next puts; after it, `always`.

    `pass`; `strip` the condition; `lose` the answer of a put that was done; `fail` with a 500 after it was done;
    `cut` before it is done; `busy`, `unfit` and `slow`: refuse with that code.
    """

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.plan: list[str] = []
        self.always = "pass"
        self.seen: list[str] = []
        self.gate: Gate = Gate()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_action(self) -> str:
        """Return what to do with the next put, and remember it."""
        action = self.plan.pop(0) if self.plan else self.always
        self.seen.append(action)
        return action

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent about connections that were cut on purpose."""


class Gate:
    """Lets every call through; what is derived from it may refuse some with 403."""

    def permits(self, method: str, path: str) -> bool:
        """Tell whether a call may be made."""
        return True

    def shows_absence(self) -> bool:
        """Tell whether the caller may learn that a key is not there."""
        return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Or each answer, sent as two packets, would take 40 ms.
    disable_nagle_algorithm = True
    server: Proxy

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _pass(self) -> None:
        body_bytes = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(body_bytes)
        action = "pass"
        if self.command in {"PUT", "POST"} and "if-none-match" in self.headers:
            action = self.server.next_action()
        if not self.server.gate.permits(self.command, self.path):
            self._refuse(403, "AccessDenied")
        elif action in FAILURES:
            self._refuse(*FAILURES[action])
        elif action == "cut":
            self.close_connection = True
        else:
            self._forward(body, action)

    def _forward(self, body: bytes, action: str) -> None:
        upstream = urlsplit(self.server.upstream)
        connection = http.client.HTTPConnection(
            upstream.hostname or "", upstream.port, timeout=30
        )
        headers = dict(self.headers.items())
        if action == "strip":
            headers = {
                name: value
                for name, value in headers.items()
                if name.lower() != "if-none-match"
            }
        connection.request(self.command, self.path, body or None, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        hidden = answer.status == 404 and not self.server.gate.shows_absence()
        if hidden:
            self._refuse(403, "AccessDenied")
        elif action == "lose":
            self.close_connection = True
        elif action == "fail":
            self._refuse(500, "InternalError")
        else:
            self._answer(answer, content)

    def _answer(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        """Hand on what the server has answered."""
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP | {"content-length"}:
                self.send_header(name, value)
        length: str | None = str(len(content))
        if self.command == "HEAD":
            length = answer.getheader("content-length")
        self.send_header("content-length", length or "0")
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, status: int, code: str) -> None:
        content = (
            f"<Error><Code>{code}</Code><Message>refused</Message></Error>".encode()
        )
        self.send_response_only(status)
        self.send_header("content-type", "application/xml")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass  # noqa: N815


@contextmanager
def proxying(upstream: str) -> Iterator[Proxy]:
    """Run a proxy for as long as the block lasts."""
    proxy = Proxy(upstream)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
