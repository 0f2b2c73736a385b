"""When to try again."""

from __future__ import annotations

import pytest

from nightbatch.retrying import Backoff

BACKOFF = Backoff(first_seconds=1.0, most_seconds=10.0)


def test_each_pause_is_longer_than_the_one_before_up_to_the_longest() -> None:
    pauses = [BACKOFF.pause(failures) for failures in (1, 2, 3, 4, 5, 6)]
    assert pauses == [1, 2, 4, 8, 10, 10]


def test_a_factor_says_how_much_longer() -> None:
    slower = Backoff(first_seconds=1.0, most_seconds=10.0, factor=1.5)
    assert [slower.pause(failures) for failures in (1, 2, 3)] == [1, 1.5, 2.25]


@pytest.mark.parametrize(
    ("asked_seconds", "pause"), [(None, 4), (0.0, 4), (3.0, 4), (300.0, 300)]
)
def test_a_longer_pause_that_is_asked_for_is_granted(
    asked_seconds: float | None, pause: float
) -> None:
    assert BACKOFF.pause(3, asked_seconds) == pause


def test_failures_without_end_keep_the_longest_pause() -> None:
    assert BACKOFF.pause(1_000_000) == 10
