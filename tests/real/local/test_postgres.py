"""PostgreSQL is ready once it takes logins: while it starts, it listens already."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from threading import Thread

import pytest

from nightbatch.local.cluster.servers import Server, postgres_service
from nightbatch.local.stack.errors import MissingExtra


def refuse_one(listener: socket.socket) -> None:
    """Take a connection and end it, as PostgreSQL does with a login while it starts."""
    connection, _ = listener.accept()
    connection.close()


def test_a_server_that_listens_and_takes_no_login_is_not_ready(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1], "secret")
        service = postgres_service(server, tmp_path, {})
        refusal = Thread(target=refuse_one, args=(listener,))
        refusal.start()
        assert not service.is_ready(0.0)
        refusal.join()
        assert server.is_listening(0.0)


def test_a_cluster_without_its_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(1, "secret")
    monkeypatch.setattr(sys, "path", [])  # so that no package is there
    with pytest.raises(MissingExtra, match=r"pip install 'nightbatch\[cluster\]'"):
        postgres_service(server, tmp_path, {})
