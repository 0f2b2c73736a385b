"""Reads ahead and writes behind change when things happen, never what or in which order."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from nightbatch.columnar.threads import Behind, ahead, beside, uncollected


def test_ahead_yields_the_same_in_the_same_order() -> None:
    assert list(ahead(iter(range(50)))) == list(range(50))


def test_ahead_makes_items_in_one_other_thread() -> None:
    names = set(ahead(threading.current_thread().name for _ in range(5)))
    assert len(names) == 1
    assert threading.current_thread().name not in names


def test_ahead_passes_an_error_on_after_the_items_before_it() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_ahead_stops_when_its_reader_stops() -> None:
    made: list[int] = []
    items = ahead(made.append(n) or n for n in range(100))  # type: ignore[func-returns-value]
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert len(made) <= 3


def test_beside_calls_in_order_in_one_other_thread() -> None:
    called = list(
        beside(lambda n: (n * n, threading.current_thread().name), iter(range(20)))
    )
    assert [square for square, _ in called] == [n * n for n in range(20)]
    assert len({name for _, name in called}) == 1
    assert threading.current_thread().name not in {name for _, name in called}


@pytest.mark.parametrize("before", [0, 1, 2, 5])
def test_beside_passes_an_error_of_the_items_on_after_the_calls_before_it(
    before: int,
) -> None:
    def broken() -> Iterator[int]:
        yield from range(before)
        raise ValueError("broken")

    calls = beside(lambda n: n, broken())
    assert [next(calls) for _ in range(before)] == list(range(before))
    with pytest.raises(ValueError, match="broken"):
        next(calls)


def test_beside_raises_what_a_call_raised_and_can_be_left_early() -> None:
    def fail(_: int) -> int:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        list(beside(fail, iter(range(5))))
    calls = beside(lambda n: n, iter(range(5)))
    assert next(calls) == 0
    calls.close()  # type: ignore[attr-defined]


def test_behind_keeps_the_order_and_ends_with_all_done() -> None:
    done: list[int] = []
    with Behind() as behind:
        for number in range(20):
            behind.do(done.append, number)
    assert done == list(range(20))


def test_behind_raises_what_a_call_raised() -> None:
    def fail() -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"), Behind() as behind:
        behind.do(fail)


def test_behind_does_nothing_after_a_call_that_raised() -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError("full")

    def work() -> None:
        with Behind() as behind:
            behind.do(fail)
            behind.do(done.append, 1)

    with pytest.raises(OSError, match="full"):
        work()
    assert done == []


def test_behind_lets_the_blocks_own_error_through_once_the_running_call_is_over() -> (
    None
):
    done: list[int] = []

    def work() -> None:
        with Behind() as behind:
            behind.do(done.append, 1)
            raise KeyError("own")

    with pytest.raises(KeyError):
        work()
    assert done in ([], [1])


def test_the_collector_rests_within_the_block_and_works_again_after_it() -> None:
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
