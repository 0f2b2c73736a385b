"""A server that costs next to nothing: it swallows creates and sends results from files, at the speed of the socket.

So what is measured is the client.
"""

from __future__ import annotations

import json
import socket
import sys
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BATCHES = "/v1/messages/batches"


class Handler(BaseHTTPRequestHandler):
    """Answers the three calls that a client under test makes."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        left, buffer = (
            int(self.headers["content-length"]),
            memoryview(bytearray(1 << 20)),
        )
        while left:
            got = self.rfile.readinto(buffer[: min(left, len(buffer))])  # type: ignore[attr-defined]
            left -= got
        self.server.made += 1
        self._json(batch(f"msgbatch_{self.server.made:08d}", 0, self.headers["host"]))

    def do_GET(self) -> None:
        name, _, tail = self.path.removeprefix(BATCHES).strip("/").partition("/")
        results = self.server.folder / f"{name}.jsonl"
        if tail != "results":
            count = (
                int((self.server.folder / f"{name}.count").read_text())
                if results.exists()
                else 0
            )
            self._json(batch(name, count, self.headers["host"], ended=results.exists()))
            return
        self.send_response(200)
        self.send_header("content-type", "application/x-jsonl")
        self.send_header("content-length", str(results.stat().st_size))
        self.end_headers()
        self.wfile.flush()
        with results.open("rb") as file:
            self.connection.sendfile(file)

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


class Server(ThreadingHTTPServer):
    """The server and the folder of its results."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.made = folder, 0
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)


def batch(
    name: str, succeeded: int, host: str, *, ended: bool = False
) -> dict[str, Any]:
    """Tell of one batch as the API does."""
    now = datetime.now(UTC)
    counts = {
        "processing": 0,
        "succeeded": succeeded,
        "errored": 0,
        "canceled": 0,
        "expired": 0,
    }
    return {
        "id": name,
        "type": "message_batch",
        "processing_status": "ended" if ended else "in_progress",
        "request_counts": counts,
        "ended_at": now.isoformat() if ended else None,
        "created_at": now.isoformat(),
        "expires_at": (now + timedelta(hours=24)).isoformat(),
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": f"http://{host}{BATCHES}/{name}/results" if ended else None,
    }


if __name__ == "__main__":
    server = Server(Path(sys.argv[1]))
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
