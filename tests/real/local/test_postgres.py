"""PostgreSQL is ready once it takes logins: while it starts, it listens already."""

from __future__ import annotations

import socket
from pathlib import Path
from threading import Thread

from nightbatch.local.cluster.servers import Server, postgres_service


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
