"""A key is checked in 8 bytes a row, and in none where it rises; what only shares a hash is no duplicate."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightbatch.errors import SourceError
from nightbatch.prepare.unique_key import KeyCheck


def check(batches: list[pa.RecordBatch], columns: list[str]) -> str | None:
    found = KeyCheck(columns)
    for batch in batches:
        found.add(batch)

    def again() -> Iterable[pa.RecordBatch]:
        return batches

    try:
        found.check(again)
    except SourceError as error:
        return str(error)
    return None


@given(st.lists(st.tuples(st.integers(0, 5), st.text("ab", max_size=2)), max_size=12))
def test_repeats_are_counted_over_batches_and_columns(
    keys: list[tuple[int, str]],
) -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    batches = [
        pa.RecordBatch.from_pylist([{"a": a, "b": b}], schema=schema) for a, b in keys
    ]
    told = check(batches, ["a", "b"])
    repeats = len(keys) - len(set(keys))
    assert (told is not None) == bool(repeats)
    if told is not None:
        assert f"{repeats} of {len(keys)} rows repeat" in told


@given(
    st.lists(st.lists(st.integers(-3, 9) | st.none(), max_size=6)),
    st.sampled_from([pa.int64(), pa.string()]),
)
def test_repeats_of_one_column_are_counted_whether_keys_rise_or_not(
    keys: list[list[int | None]], kind: pa.DataType
) -> None:
    batches = [
        pa.record_batch({"a": pa.array(some, pa.int64()).cast(kind)}) for some in keys
    ]
    told, flat = check(batches, ["a"]), [key for some in keys for key in some]
    repeats, nulls = len(flat) - len(set(flat)), flat.count(None)
    expected = (
        f"{nulls} of {len(flat)} rows have a null"
        if nulls
        else f"{repeats} of {len(flat)} rows repeat"
    )
    assert (
        told is None if nulls + repeats == 0 else told is not None and expected in told
    )


def test_keys_that_rise_take_no_memory() -> None:
    found = KeyCheck(["a"])
    for start in range(0, 1000, 100):
        found.add(
            pa.record_batch(
                {"a": [f"{number:04}" for number in range(start, start + 100)]}
            )
        )
    found.check(list)
    assert not found._hashes


def test_rising_keys_need_no_python_value() -> None:
    unreadable = pa.array([b"\xff", b"\xfe\x01", b"\xff\xff"], pa.binary()).view(
        pa.string()
    )
    instants = pa.array([1, 2, 2**60 + 1], pa.timestamp("ns"))
    assert check([pa.record_batch({"a": unreadable.slice(1)})], ["a"]) is None
    assert check([pa.record_batch({"a": instants})], ["a"]) is None


def test_two_keys_with_one_hash_are_not_taken_for_one() -> None:
    found = KeyCheck(["a"])
    rows = pa.record_batch({"a": [2, 1]})
    found.add(rows)
    found._hashes[1] = found._hashes[0]
    found.check(lambda: [rows])


def test_a_null_in_a_key_is_counted_once_a_row() -> None:
    rows = pa.record_batch({"a": [1, None, None], "b": ["x", None, "y"]})
    told = check([rows], ["a", "b"])
    assert told is not None
    assert "2 of 3 rows have a null" in told


def test_nested_values_can_be_keys() -> None:
    assert check([pa.record_batch({"a": [[1], [2]]})], ["a"]) is None
    assert "1 of 2" in (check([pa.record_batch({"a": [[1], [1]]})], ["a"]) or "")


def test_no_key_is_no_check() -> None:
    assert check([pa.record_batch({"a": [1, 1]})], []) is None


@pytest.mark.parametrize("repeats", [2, 5])
def test_the_message_shows_no_key(repeats: int) -> None:
    told = check([pa.record_batch({"a": ["secret"] * repeats})], ["a"])
    assert told is not None
    assert "secret" not in told
