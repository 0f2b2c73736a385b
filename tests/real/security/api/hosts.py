"""API hosts that answer whatever a test tells them to, and remember who sent what."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

KEY = "sk-ant-SECRET-KEY"
BATCH = "msgbatch_01"


@dataclass(frozen=True)
class Reply:
    """One answer of a host."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One request that a host has received."""

    line: str
    headers: dict[str, str]
    body: bytes


class Host:
    """A server on this machine; `replies`: by method and path without the query, `otherwise` for all else."""

    def __init__(self) -> None:
        self.calls = list[Call]()
        self.replies = dict[str, Reply]()
        self.otherwise = Reply(404, b"{}", {"content-type": "application/json"})
        self.url = ""

    def says(self, line: str, body: Any, status: int = 200, **headers: str) -> None:
        """Answer a method and path with JSON."""
        self.replies[line] = Reply(
            status,
            json.dumps(body).encode(),
            {"content-type": "application/json", **headers},
        )

    def reply(self, line: str) -> Reply:
        """Return the answer to a method and path, whatever its query."""
        without_query, _, _ = line.partition("?")
        return self.replies.get(without_query, self.otherwise)

    @property
    def lines(self) -> list[str]:
        """The method and path of each call."""
        return [call.line for call in self.calls]

    @property
    def sent(self) -> str:
        """Everything that was sent to this host."""
        return "\n".join(
            f"{call.line}\n{call.headers}\n{call.body.decode()}" for call in self.calls
        )


@contextmanager
def running() -> Iterator[Host]:
    """Run a host."""
    host = Host()

    class Answering(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body_bytes = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(body_bytes)
            line = f"{self.command} {self.path}"
            host.calls.append(Call(line, dict(self.headers), body))
            reply = host.reply(line)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_POST = do_PUT = do_GET  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    host.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def batch(**changes: Any) -> dict[str, Any]:
    """Return a batch as the API writes it."""
    return {
        "id": BATCH, "type": "message_batch", "processing_status": "ended", "created_at": "2026-11-27T01:00:00Z",
        "expires_at": "2026-11-28T01:00:00Z", "results_url": None,
        "request_counts": {"processing": 0, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 0}, **changes,
    }  # fmt: skip
