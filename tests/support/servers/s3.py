"""S3 servers in processes of their own: moto's servers within one process would all share one set of buckets.

A server takes a second to start, so one that a test no longer uses is emptied and lent to the next.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nightbatch.local.stack.ports import free_port

PATIENCE_SECONDS = 90.0


def shell_variables(s3_url: str, api_url: str) -> dict[str, str]:
    """Return what the environment of a person without Airflow says of the store and the API."""
    return {
        "AWS_ENDPOINT_URL": s3_url, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1", "ANTHROPIC_API_KEY": "sk-test", "ANTHROPIC_BASE_URL": api_url,
    }  # fmt: skip


@dataclass(frozen=True)
class _Server:
    """A process of moto, and its URL."""

    process: subprocess.Popen[bytes]
    url: str

    def forget_all(self) -> None:
        """Remove every bucket and whatever else it holds."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")
        urllib.request.urlopen(request, timeout=PATIENCE_SECONDS).close()

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


_idle_servers: list[_Server] = []
"""Servers that tests of this process have used, and that no test uses now."""


@contextmanager
def serving() -> Iterator[str]:
    """Lend an empty moto for as long as the block lasts, and return its URL."""
    server = _idle_servers.pop() if _idle_servers else _started()
    server.forget_all()
    try:
        yield server.url
    finally:
        _idle_servers.append(server)


def _started() -> _Server:
    """Start a moto that ends with this process."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("AWS_")
    }
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = _Server(process, f"http://127.0.0.1:{port}")
    atexit.register(server.end)
    _wait(process, port)
    return server


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(
        f"moto did not answer on port {port}; its exit code is {server.poll()}."
    )
