"""The times that models write, with or without a zone, become times of day and points in time."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightbatch.columnar.times import (
    is_date_time,
    is_time,
    read_date_time,
    read_time,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10:11:12", time(10, 11, 12)),
        ("10:11", time(10, 11)),
        ("10:11:12.5", time(10, 11, 12, 500_000)),
        ("10:11:12.123456789", time(10, 11, 12, 123_456)),
        ("10:11:12Z", time(10, 11, 12)),
        ("10:11:12+02:00", time(10, 11, 12)),
        ("10:11z", time(10, 11)),
        ("00:00:00", time(0)),
    ],
)
def test_a_time_of_day_is_taken_as_it_is_written(text: str, expected: time) -> None:
    assert read_time(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-29T10:11:12Z", datetime(2026, 11, 29, 10, 11, 12, tzinfo=UTC)),
        ("2026-11-29 10:11:12Z", datetime(2026, 11, 29, 10, 11, 12, tzinfo=UTC)),
        ("2026-11-29T10:11:12", datetime(2026, 11, 29, 10, 11, 12, tzinfo=UTC)),
        ("2026-11-29t10:11", datetime(2026, 11, 29, 10, 11, tzinfo=UTC)),
        ("2026-11-29", datetime(2026, 11, 29, tzinfo=UTC)),
        ("2026-11-29T01:00:00+02:00", datetime(2026, 11, 28, 23, tzinfo=UTC)),
        ("2026-11-29T23:00:00-0230", datetime(2026, 11, 30, 1, 30, tzinfo=UTC)),
    ],
)
def test_a_date_time_is_a_point_in_time_and_utc_without_a_zone(
    text: str, expected: datetime
) -> None:
    read = read_date_time(text)
    assert read == expected
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "24:00:00", "23:59:60Z", "10", "10:1", "10:11:12,5", "10:11:12.", "1011", "noon", "", "10:11+24:00",
        "10:11:12Z\n",
    ],
)  # fmt: skip
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    assert not is_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-13-01", "20261129T101112", "2026-W48-7", "2026-11-29T", "0000-01-01T00:00:00Z", "tomorrow",
        "2026-11-29T23:00:00 Z",
        "0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-01:00", "2026-11-29T10", "٢٠٢٦-11-29",
    ],
)  # fmt: skip
def test_what_is_no_point_in_time_is_refused(text: str) -> None:
    assert not is_date_time(text)


minutes = st.integers(-23 * 60, 23 * 60)
zones = st.builds(lambda offset: timezone(timedelta(minutes=offset)), minutes)
moments = st.datetimes(
    min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=zones
)


@given(moments)
def test_every_iso_time_with_a_zone_is_read_as_python_reads_it(
    moment: datetime,
) -> None:
    assert read_date_time(moment.isoformat()) == moment


@given(st.times())
def test_every_iso_time_of_day_is_read_as_python_reads_it(moment: time) -> None:
    assert read_time(moment.isoformat()) == moment
