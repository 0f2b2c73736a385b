"""Ports on 127.0.0.1, below the ephemeral range, so that a restarted service finds its own port still free."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice

from nightbatch.local.stack.errors import PortTaken

LOOPBACK = "127.0.0.1"
RANGE = range(20_000, 32_000)
TRIES = 200


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Pick a free port at random, so that stacks started side by side rarely pick the same one.

    One process does not pick a port twice, so that it can pick several before it uses the first.
    """
    for port in islice(_ports_in_turn(), TRIES):
        if is_free(port):
            return port
    raise PortTaken(
        f"None of {TRIES} ports tried between {RANGE.start} and {RANGE.stop} is free."
    )


@cache
def _ports_in_turn() -> Iterator[int]:
    """Return all ports, again and again, in an order that is this process's own."""
    shuffled_ports = random.sample(RANGE, k=len(RANGE))
    return cycle(shuffled_ports)


def require_free(port: int) -> int:
    """Return the port if a server could listen on it; raise PortTaken otherwise."""
    if not is_free(port):
        raise PortTaken(
            f"Port {port} on {LOOPBACK} is in use: stop what listens there, or choose another."
        )
    return port
