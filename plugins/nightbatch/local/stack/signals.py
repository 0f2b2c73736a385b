"""Signals: how a stack's owner is asked to end, and how its clean-up stays uninterrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ending_by_exception() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into SystemExit, so that every `with` block is left properly."""
    with _handling(_exit):
        yield


@contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignore the same signals: a second Ctrl-C must not interrupt the clean-up after the first."""
    with _handling(signal.SIG_IGN):
        yield


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


@contextmanager
def _handling(
    handler: Callable[[int, FrameType | None], Any] | signal.Handlers,
) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former_handlers = {}
    for signal_number in ENDING:
        former_handlers[signal_number] = signal.signal(signal_number, handler)
    try:
        yield
    finally:
        for signal_number, former_handler in former_handlers.items():
            signal.signal(signal_number, former_handler)
