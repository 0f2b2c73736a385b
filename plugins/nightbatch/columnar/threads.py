"""Background threads: they read items before they are needed, or run writes in order; both release Python's lock."""

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


def read_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the same items, while a thread makes the next one."""
    with lent_threads("read-ahead") as thread:
        next_item = thread.submit(next, items, _END)
        while (item := next_item.result()) is not _END:
            next_item = thread.submit(next, items, _END)
            yield item


def map_in_thread(call: Callable[[S], T], items: Iterator[S]) -> Iterator[T]:
    """Yield the call's result for each item: a thread makes it, while this thread makes the next item.

    For calls that release Python's lock, and items that need it often: each wait for it may take milliseconds. Where
    the items end with an error, it is raised after the results of the items before it.
    """
    with lent_threads("map") as thread:
        calls = deque[Future[T]]()
        items_error: Exception | None = None
        while items_error is None:
            try:
                item = next(items)
            except StopIteration:
                break
            except Exception as error:
                items_error = error
            else:
                next_call = thread.submit(call, item)
                calls.append(next_call)
            if len(calls) > 1:
                first_call = calls.popleft()
                yield first_call.result()
        while calls:
            first_call = calls.popleft()
            yield first_call.result()
        if items_error is not None:
            raise items_error


@contextmanager
def lent_threads(name: str, count: int = 1) -> Iterator[ThreadPoolExecutor]:
    """Lend threads to a generator; wait for their end unless the generator is closed before it is exhausted.

    The cycle collector may close a generator in any thread, also in one that is just starting and holds the lock that
    the end of another thread needs: waiting there would never end.
    """
    threads = ThreadPoolExecutor(count, name)
    is_abandoned = False
    try:
        yield threads
    except GeneratorExit:
        is_abandoned = True
        raise
    finally:
        threads.shutdown(wait=not is_abandoned, cancel_futures=True)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the cycle collector while millions of short-lived values without cycles are made."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class BackgroundCalls:
    """Runs calls one after another in a thread, at most one of them queued; leaving the block waits for all.

    After a call that raised, no further call is run.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "background")
        self._calls = deque[Future[Any]]()
        self._failed = False

    def do(self, call: Callable[..., Any], *args: Any) -> None:
        """Queue a call; raise what an earlier one raised."""
        while len(self._calls) > 1:
            self._calls.popleft().result()
        submitted_call = self._thread.submit(self._do, call, *args)
        self._calls.append(submitted_call)

    def __enter__(self) -> BackgroundCalls:
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
