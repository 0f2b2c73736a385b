"""Reading ahead and writing in the background change when things happen, never what or in which order."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from nightbatch.columnar.threads import (
    BackgroundCalls,
    collector_paused,
    map_in_thread,
    read_ahead,
)


def test_read_ahead_yields_the_same_in_the_same_order() -> None:
    assert list(read_ahead(iter(range(50)))) == list(range(50))


def test_read_ahead_makes_items_in_one_other_thread() -> None:
    names = set(read_ahead(threading.current_thread().name for _ in range(5)))
    assert len(names) == 1
    assert threading.current_thread().name not in names


def test_read_ahead_passes_an_error_on_after_the_items_before_it() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = read_ahead(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_read_ahead_stops_when_its_reader_stops() -> None:
    made: list[int] = []
    items = read_ahead(made.append(n) or n for n in range(100))  # type: ignore[func-returns-value]
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert len(made) <= 3


@pytest.mark.timeout(20)
def test_read_ahead_is_left_without_waiting_for_the_item_that_is_made() -> None:
    may_go_on = threading.Event()

    def slow_items() -> Iterator[int]:
        yield 1
        may_go_on.wait()
        yield 2

    items = read_ahead(slow_items())
    assert next(items) == 1
    items.close()  # type: ignore[attr-defined]
    assert not may_go_on.is_set()
    may_go_on.set()


def test_map_in_thread_calls_in_order_in_one_other_thread() -> None:
    called = list(
        map_in_thread(
            lambda n: (n * n, threading.current_thread().name), iter(range(20))
        )
    )
    assert [square for square, _ in called] == [n * n for n in range(20)]
    assert len({name for _, name in called}) == 1
    assert threading.current_thread().name not in {name for _, name in called}


@pytest.mark.parametrize("before", [0, 1, 2, 5])
def test_map_in_thread_passes_an_error_of_the_items_on_after_the_calls_before_it(
    before: int,
) -> None:
    def broken() -> Iterator[int]:
        yield from range(before)
        raise ValueError("broken")

    calls = map_in_thread(lambda n: n, broken())
    assert [next(calls) for _ in range(before)] == list(range(before))
    with pytest.raises(ValueError, match="broken"):
        next(calls)


def test_map_in_thread_raises_what_a_call_raised_and_can_be_left_early() -> None:
    def fail(_: int) -> int:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        list(map_in_thread(fail, iter(range(5))))
    calls = map_in_thread(lambda n: n, iter(range(5)))
    assert next(calls) == 0
    calls.close()  # type: ignore[attr-defined]


def test_background_calls_keep_the_order_and_end_with_all_done() -> None:
    done: list[int] = []
    with BackgroundCalls() as background:
        for number in range(20):
            background.do(done.append, number)
    assert done == list(range(20))


def test_background_calls_raise_what_a_call_raised() -> None:
    def fail() -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"), BackgroundCalls() as background:
        background.do(fail)


def test_background_calls_do_nothing_after_a_call_that_raised() -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError("full")

    def work() -> None:
        with BackgroundCalls() as background:
            background.do(fail)
            background.do(done.append, 1)

    with pytest.raises(OSError, match="full"):
        work()
    assert done == []


def test_background_calls_let_the_blocks_own_error_through_once_the_running_call_is_over() -> (
    None
):
    done: list[int] = []

    def work() -> None:
        with BackgroundCalls() as background:
            background.do(done.append, 1)
            raise KeyError("own")

    with pytest.raises(KeyError):
        work()
    assert done in ([], [1])


def test_the_collector_rests_within_the_block_and_works_again_after_it() -> None:
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
