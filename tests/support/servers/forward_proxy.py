"""A forward proxy for plain http, in a thread, that remembers what was asked of it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class ForwardProxy:
    """Its address, and for each request the method and the client's own name of itself."""

    url: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)

    def clients(self, method: str) -> set[str]:
        """Return which clients have sent a method: `boto3`, `arrow`."""
        clients = set()
        for seen_method, agent in self.seen:
            if seen_method == method:
                clients.add(_client(agent.lower()))
        return clients - {""}


def _client(agent: str) -> str:
    """Return which client a User-Agent is of; nothing for another one."""
    if "boto3" in agent:
        return "boto3"
    return "arrow" if "aws-sdk-cpp" in agent else ""


@contextmanager
def forward_proxy() -> Iterator[ForwardProxy]:
    """Run a proxy for as long as the block lasts."""
    proxy = ForwardProxy()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _forward(self) -> None:
            proxy.seen.append((self.command, self.headers.get("User-Agent", "")))
            target = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            connection = http.client.HTTPConnection(target.netloc, timeout=30)
            path = target.path + (f"?{target.query}" if target.query else "")
            headers = dict(self.headers.items())
            connection.request(self.command, path, self.rfile.read(size), headers)
            answer = connection.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection"}:
                    self.send_header(name, value)
            if not answer.getheader("Content-Length"):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            connection.close()

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _forward  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
