"""Faults at the edge: what happens to a call before the API acts on it, and to its answer after."""

import asyncio
from collections.abc import Iterable

from nightbatch.emulator.faults.kinds import ERROR_KINDS, error_of_kind
from nightbatch.emulator.faults.rules import Fault

FOREVER = 86_400.0  # seconds
_WAITS = frozenset({"delay", "stall"})


class DroppedError(Exception):
    """The connection is to be closed without an answer; `reset`: by a TCP reset."""

    def __init__(self, reason: str, *, reset: bool = False) -> None:
        super().__init__(reason)
        self.reset = reset


def dropped(fault: Fault) -> DroppedError:
    """Return the error by which a fault closes the connection."""
    return DroppedError(fault.what, reset=bool(fault.options.get("reset")))


async def before(faults: Iterable[Fault]) -> None:
    """Wait, drop or raise for the faults that strike before the API acts."""
    for fault in faults:
        if fault.what == "drop_before":
            raise dropped(fault)
        after_option = fault.options.get("after")
        if fault.what in ERROR_KINDS and not after_option:
            raise error_of_kind(fault.what, fault.options)
        if fault.what in _WAITS and after_option is False:
            await _wait(fault)


async def after(faults: Iterable[Fault]) -> None:
    """Wait, drop or raise for the faults that strike when the API has acted and is about to answer."""
    for fault in faults:
        after_option = fault.options.get("after")
        if fault.what in _WAITS and after_option is not False:
            await _wait(fault)
        if fault.what == "drop_after":
            raise dropped(fault)
        if fault.what in ERROR_KINDS and after_option:
            raise error_of_kind(fault.what, fault.options)


async def _wait(fault: Fault) -> None:
    default_seconds = 1.0 if fault.what == "delay" else FOREVER
    seconds = fault.options.get("seconds", default_seconds)
    await asyncio.sleep(float(seconds))
