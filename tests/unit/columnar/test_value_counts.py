"""Values of a column are counted as a loop over them would count, without null."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from nightbatch.columnar.value_counts import value_counts

COLUMNS = st.lists(st.none() | st.sampled_from(["a", "b", "c", "d"]))


@given(COLUMNS)
def test_values_are_counted_as_in_a_loop(values: list[str | None]) -> None:
    column = pa.array(values, pa.string())

    counted = dict(value_counts(column))

    assert counted == Counter(value for value in values if value is not None)


@given(COLUMNS)
def test_the_values_that_come_first_are_counted_where_there_are_too_many(
    values: list[str | None],
) -> None:
    column = pa.array(values, pa.string())
    different_values = dict.fromkeys(value for value in values if value is not None)

    counted = [value for value, _ in value_counts(column, 2)]

    assert counted == list(different_values)[:2]
