"""One thread beside the main one: reads come ahead of their use, writes follow behind; both leave Python's lock."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")
_END: Any = object()


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the same, with the next item being made in a thread meanwhile."""
    with ThreadPoolExecutor(1, "ahead") as thread:
        following = thread.submit(next, items, _END)
        while (item := following.result()) is not _END:
            following = thread.submit(next, items, _END)
            yield item


def beside(call: Callable[[S], T], items: Iterator[S]) -> Iterator[T]:
    """Yield the call of each item, done in a thread while the next item is made here.

    For calls that leave Python's lock, and items that need it often: each wait for it may take milliseconds. Where
    the items end with an error, it comes after the calls of those before it.
    """
    with ThreadPoolExecutor(1, "beside") as thread:
        calls, broken = deque[Future[T]](), None
        while broken is None:
            try:
                calls.append(thread.submit(call, next(items)))
            except StopIteration:
                break
            except Exception as error:
                broken = error
            if len(calls) > 1:
                yield calls.popleft().result()
        while calls:
            yield calls.popleft().result()
        if broken is not None:
            raise broken


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the cycle collector from walking over values that come and go by the million and hold no cycles."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Behind:
    """Does calls one after another in a thread, at most one of them waiting; leaving its block waits for all.

    After a call that raised, none is done any more.
    """

    def __init__(self) -> None:
        self._thread, self._calls = (
            ThreadPoolExecutor(1, "behind"),
            deque[Future[Any]](),
        )
        self._failed = False

    def do(self, call: Callable[..., Any], *args: Any) -> None:
        """Have a call done; raises what an earlier one raised."""
        while len(self._calls) > 1:
            self._calls.popleft().result()
        self._calls.append(self._thread.submit(self._do, call, *args))

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(cancel_futures=kind is not None)
        while self._calls and kind is None:
            self._calls.popleft().result()

    def _do(self, call: Callable[..., Any], *args: Any) -> None:
        if not self._failed:
            self._failed = True
            call(*args)
            self._failed = False
