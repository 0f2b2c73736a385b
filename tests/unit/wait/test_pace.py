"""When a batch is looked at: pure decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nightbatch.errors import SettingsError
from nightbatch.ids import BatchId
from nightbatch.ports import Batch
from nightbatch.wait.pace import (
    Ended,
    GoneForGood,
    Missing,
    PollTiming,
    StateSeen,
    Unread,
    Watched,
    interval,
    longest,
    next_look,
    on_state,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PACE = PollTiming()
ID = BatchId("msgbatch_1")


def batch(*, age: float = 0.0, total: int = 1, ended: bool = False) -> Batch:
    return Batch(ID, NOW - timedelta(seconds=age), ended, {"processing": total})


def watched(**more: object) -> Watched:
    return Watched(ID, 60.0, NOW, **more)  # type: ignore[arg-type]


def pause(of: Batch, *, hint: float | None = None, ceiling: float = 60.0) -> float:
    return interval(of, NOW, PACE, hint=hint, ceiling=ceiling)


def due(after: Watched | Ended | GoneForGood) -> float:
    assert isinstance(after, Watched)
    return (after.due - NOW).total_seconds()


def test_a_small_young_batch_is_looked_at_again_after_a_second() -> None:
    assert pause(batch(total=400)) == pytest.approx(1.04)


def test_the_largest_batch_is_given_ten_seconds_even_when_young() -> None:
    assert pause(batch(total=100_000)) == pytest.approx(11.0)


def test_the_older_a_batch_the_rarer_the_looks_until_the_ceiling() -> None:
    assert [pause(batch(age=age)) for age in (60, 300, 3_600)] == pytest.approx(
        [6, 30, 60]
    )


@pytest.mark.parametrize("ceiling", [0.05, 5.0, 60.0, 3_600.0])
def test_no_look_is_later_than_poll_seconds_whatever_the_api_hints(
    ceiling: float,
) -> None:
    assert (
        pause(batch(age=80_000, total=100_000), hint=7_200, ceiling=ceiling) == ceiling
    )


def test_a_hint_of_the_api_puts_a_look_off() -> None:
    assert pause(batch(), hint=10) == 10


def test_a_batch_from_a_clock_that_is_ahead_counts_as_new() -> None:
    assert pause(batch(age=-500)) == pytest.approx(1, abs=0.01)


def test_an_ended_batch_ends_the_wait() -> None:
    ended = batch(ended=True)
    assert on_state(watched(), StateSeen(ended), NOW, PACE) == Ended(ended)


def test_a_batch_that_is_missing_once_is_looked_for_again() -> None:
    after = on_state(watched(), Missing(), NOW, PACE)
    assert isinstance(after, Watched)
    assert (after.missing_since, after.straggler) == (NOW, True)
    assert due(after) == pytest.approx(20)


def test_a_batch_that_stays_missing_is_gone() -> None:
    since = NOW - timedelta(seconds=PACE.gone)
    assert on_state(watched(missing_since=since), Missing(), NOW, PACE) == GoneForGood()


def test_a_batch_that_turns_up_again_was_never_gone() -> None:
    after = on_state(watched(missing_since=NOW), StateSeen(batch()), NOW, PACE)
    assert isinstance(after, Watched)
    assert after.missing_since is None


def test_a_batch_that_cannot_be_read_is_left_alone_for_the_longest_pause() -> None:
    assert due(on_state(watched(), Unread(), NOW, PACE)) == 60


def test_the_next_look_is_when_the_first_is_due() -> None:
    sooner, later = NOW + timedelta(seconds=5), NOW + timedelta(seconds=9)
    assert next_look([later, None, sooner], NOW - timedelta(hours=1), 1, PACE) == sooner


def test_every_request_of_a_look_is_paid_for_with_a_second_of_rest() -> None:
    assert next_look([NOW], NOW, 10, PACE) == NOW + timedelta(seconds=10)


def test_with_nobody_waiting_there_is_no_next_look() -> None:
    assert next_look([None, None], NOW, 1, PACE) is None


@pytest.mark.parametrize("given", [0.0, -1.0, float("nan")])
def test_a_pause_that_is_none_is_refused(given: float) -> None:
    with pytest.raises(SettingsError, match="more than 0 seconds"):
        longest(given)


def test_no_pause_is_longer_than_a_day() -> None:
    assert [longest(given) for given in (0.05, float("inf"), 1e300)] == [
        0.05,
        86_400,
        86_400,
    ]


def test_an_api_that_is_down_for_days_is_asked_once_a_minute() -> None:
    assert PACE.backoff.pause(100_000) == 60


def test_failures_double_the_pause_up_to_a_minute() -> None:
    assert [PACE.backoff.pause(failures) for failures in (1, 2, 3, 10)] == [
        2,
        4,
        8,
        60,
    ]


def test_what_a_429_asks_for_is_granted() -> None:
    assert PACE.backoff.pause(1, 300.0) == 300
