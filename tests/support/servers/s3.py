"""An S3 server in a process of its own: moto's servers within one process would all share one set of buckets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from nightbatch.local.stack.ports import free_port

PATIENCE_SECONDS = 90.0


def shell_variables(s3_url: str, api_url: str) -> dict[str, str]:
    """Return what the environment of a person without Airflow says of the store and the API."""
    return {
        "AWS_ENDPOINT_URL": s3_url, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1", "ANTHROPIC_API_KEY": "sk-test", "ANTHROPIC_BASE_URL": api_url,
    }  # fmt: skip


@contextmanager
def serving() -> Iterator[str]:
    """Run moto, and return its URL."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("AWS_")
    }
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        try:
            _wait(server, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


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
