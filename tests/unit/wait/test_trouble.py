"""What a wait says while the API cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from nightbatch.wait.trouble import Trouble, WaitEnd, words

NOW = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TROUBLE = Trouble("the API at host:443 could not be read: ConnectError.", NOW - HOUR)


def test_it_says_since_when_why_and_until_when() -> None:
    assert words(TROUBLE, WaitEnd(NOW + HOUR), NOW) == (
        "Not read since 2026-11-21 17:00 UTC: the API at host:443 could not be read: ConnectError. "
        "It is tried until 2026-11-21 19:00 UTC."
    )


def test_times_are_said_in_utc() -> None:
    zone = timezone(timedelta(hours=2))
    end = WaitEnd((NOW + HOUR).astimezone(zone))
    assert "until 2026-11-21 19:00 UTC." in words(TROUBLE, end, NOW)


def test_a_deadline_that_has_passed_is_not_announced() -> None:
    assert "canceled" in words(TROUBLE, WaitEnd(cancels_at=NOW + HOUR), NOW)
    assert "canceled" not in words(TROUBLE, WaitEnd(cancels_at=NOW - HOUR), NOW)
