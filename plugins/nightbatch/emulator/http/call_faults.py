"""Faults at the edge: what happens to a call before the API acts on it, and to its answer after."""

import asyncio
from collections.abc import Iterable

from nightbatch.emulator.faults.kinds import TOLD, told
from nightbatch.emulator.faults.rules import Fault

FOREVER = 86_400.0


class DroppedError(Exception):
    """The connection is to be closed without an answer; `reset`: rudely."""

    def __init__(self, why: str, *, reset: bool = False) -> None:
        super().__init__(why)
        self.reset = reset


def dropped(fault: Fault) -> DroppedError:
    """Return the end that a fault makes of a connection."""
    return DroppedError(fault.what, reset=bool(fault.options.get("reset")))


async def before(faults: Iterable[Fault]) -> None:
    """Wait, drop or raise for the faults that strike before the API acts."""
    for fault in faults:
        if fault.what == "drop_before":
            raise dropped(fault)
        if fault.what in TOLD and not fault.options.get("after"):
            raise told(fault.what, fault.options)
        if fault.what in {"delay", "stall"} and fault.options.get("after") is False:
            await asyncio.sleep(_seconds(fault))


async def after(faults: Iterable[Fault]) -> None:
    """Wait, drop or raise for the faults that strike when the API has acted and is about to answer."""
    for fault in faults:
        if fault.what in {"delay", "stall"} and fault.options.get("after") is not False:
            await asyncio.sleep(_seconds(fault))
        if fault.what == "drop_after":
            raise dropped(fault)
        if fault.what in TOLD and fault.options.get("after"):
            raise told(fault.what, fault.options)


def _seconds(fault: Fault) -> float:
    return float(
        fault.options.get("seconds", 1.0 if fault.what == "delay" else FOREVER)
    )
