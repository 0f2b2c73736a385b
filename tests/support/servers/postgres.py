"""A real PostgreSQL server of one's own, as a cluster on this machine has it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from nightbatch.local.cluster.servers import (
    Server,
    create_postgres_data,
    postgres_service,
    remove_postgres_data,
)
from nightbatch.local.stack.ports import free_port


@contextmanager
def running() -> Iterator[Server]:
    """Run a fresh server for as long as the block lasts."""
    server = Server(free_port(), secrets.token_urlsafe(16))
    with TemporaryDirectory(prefix="nightbatch-pg-") as folder:
        home = Path(folder)
        create_postgres_data(server, home)
        service = postgres_service(server, home, os.environ)
        try:
            service.restart()
            yield server
        finally:
            service.stop()
            remove_postgres_data(home)
