"""Ids are found by their heads and told apart by all of their bytes."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from nightbatch.core import pending
from nightbatch.core.finder import Finder, repeats

# Few heads and few tails, so that repeats, and different ids of one head, are common.
ID = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(lambda two: bytes([two[0]]) * 8 + bytes([two[1]]) * 12)
IDS = st.lists(ID, max_size=12)
KIND = pa.binary(20)


def table(ids: list[bytes]) -> pa.Table:
    return pa.table({"id": pa.array(ids, KIND), "at": pa.array(range(len(ids)), pa.int64())})


@settings(deadline=None)
@given(st.lists(ID, max_size=8, unique=True), IDS)
def test_what_is_found_is_what_is_in_both(sought: list[bytes], given_ids: list[bytes]) -> None:
    rows, positions = Finder(pa.array(sought, KIND)).find(pa.array(given_ids, KIND))
    found = sorted(zip(rows.tolist(), positions.tolist(), strict=True))
    assert found == [(row, sought.index(one)) for row, one in enumerate(given_ids) if one in sought]


@settings(deadline=None)
@given(IDS, st.integers(0, 12))
def test_repeats_are_all_but_the_first(ids: list[bytes], start: int) -> None:
    ids = ids[start:]
    expected = [at for at, one in enumerate(ids) if one in ids[:at]]
    assert sorted(repeats(pa.array([b"x" * 20] * start + ids, KIND).slice(start)).tolist()) == expected


@settings(deadline=None)
@given(st.lists(IDS, min_size=1, max_size=3), st.lists(IDS, max_size=3))
def test_pending_is_asked_less_known_each_once_in_its_order(asked: list[list[bytes]], known: list[list[bytes]]) -> None:
    whole = pending.distinct(table(part) for part in asked)
    flat = [one for part in asked for one in part]
    assert whole.column("id").to_pylist() == list(dict.fromkeys(flat))
    gone = {one for part in known for one in part}
    arrays = [pa.array(part, KIND) for part in known]
    left = pending.difference(whole, arrays).column("id").to_pylist()
    assert left == [one for one in dict.fromkeys(flat) if one not in gone]
    assert pending.common(whole, arrays).column("id").to_pylist() == [o for o in dict.fromkeys(flat) if o in gone]
