"""The network of a company: servers behind names of its own and a private authority, reached through one proxy."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import trustme
from anyio.from_thread import start_blocking_portal

CHUNK = 1 << 16


@dataclass
class Tunnels:
    """A proxy that knows only CONNECT: its URL, where the names lead that it knows, and what it was asked for."""

    url: str
    ports: dict[str, int]
    asked: list[str] = field(default_factory=list)


@contextmanager
def network(authority: trustme.CA, **upstream_by_label: str) -> Iterator[Tunnels]:
    """Serve plain-http URLs as `https://LABEL.internal.invalid`, a name that only the proxy can resolve.

    :param authority: signs their certificates.
    """
    with start_blocking_portal() as portal:
        ports = {
            host(label): portal.call(_tls_port, authority, host(label), upstream_url)
            for label, upstream_url in upstream_by_label.items()
        }
        tunnels = Tunnels("", ports)
        tunnels.url = f"http://127.0.0.1:{portal.call(_proxy_port, tunnels)}"
        yield tunnels


def host(label: str) -> str:
    """Return the name of a server of this network."""
    return f"{label}.internal.invalid"


async def _tls_port(authority: trustme.CA, name: str, upstream_url: str) -> int:
    """Serve one upstream with a certificate for a name; return the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    upstream_port = urlsplit(upstream_url).port

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_connection("127.0.0.1", upstream_port)
        await _join((reader, writer), upstream)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    return int(server.sockets[0].getsockname()[1])


async def _proxy_port(tunnels: Tunnels) -> int:
    """Serve CONNECT for the names of the network, and refuse everything else; return the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, authority, _ = head.decode("latin-1").split(" ", 2)
        name = authority.removesuffix(":443")
        if method != "CONNECT" or name not in tunnels.ports:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        tunnels.asked.append(name)
        upstream = await asyncio.open_connection("127.0.0.1", tunnels.ports[name])
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await _join((reader, writer), upstream)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return int(server.sockets[0].getsockname()[1])


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(client: Connection, upstream: Connection) -> None:
    """Pass bytes both ways until both sides have ended."""
    await asyncio.gather(_pass(client[0], upstream[1]), _pass(upstream[0], client[1]))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass  # the client went away in the middle, which is its right
    finally:
        writer.close()
