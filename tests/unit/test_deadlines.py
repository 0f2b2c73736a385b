"""How long a deadline is away."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nightbatch.deadlines import (
    LAST_LOOK_SECONDS,
    has_passed,
    seconds_to_wait,
    seconds_until,
)

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
BEFORE, AFTER = "2026-11-21T02:59:30+00:00", "2026-11-21T03:00:30+00:00"


def test_without_a_deadline_nothing_is_late_and_a_wait_has_no_end() -> None:
    assert seconds_until("", NOW) is None
    assert seconds_to_wait("", NOW) is None
    assert not has_passed("", NOW)


@pytest.mark.parametrize(
    ("deadline", "seconds"), [(AFTER, 30), (BEFORE, -30), (NOW.isoformat(), 0)]
)
def test_a_deadline_has_passed_once_no_time_is_left(
    deadline: str, seconds: float
) -> None:
    assert seconds_until(deadline, NOW) == seconds
    assert has_passed(deadline, NOW) == (seconds <= 0)


def test_a_time_without_a_zone_is_utc() -> None:
    assert seconds_until("2026-11-21T03:00:30", NOW) == 30
    assert seconds_until("2026-11-21T04:00:30+01:00", NOW) == 30


def test_a_wait_that_begins_after_its_deadline_still_looks_once() -> None:
    assert seconds_to_wait(AFTER, NOW) == 30
    assert seconds_to_wait(BEFORE, NOW) == LAST_LOOK_SECONDS
