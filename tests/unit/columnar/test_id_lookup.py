"""Ids are found by their heads and told apart by all of their bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from nightbatch.columnar.id_lookup import IdLookup, heads, id_ranges, repeats, words
from nightbatch.columnar.id_rounds import ROUND, IdRound
from nightbatch.plan.pending import Pending

# Few heads and few tails, so that repeats, and different ids of one head, are common.
ID = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(
    lambda two: bytes([two[0]]) * 8 + bytes([two[1]]) * 12
)
IDS = st.lists(ID, max_size=12)
KIND = pa.binary(20)


@given(st.lists(ID, max_size=8, unique=True), IDS)
def test_what_is_found_is_what_is_in_both(
    sought: list[bytes], given_ids: list[bytes]
) -> None:
    rows, positions = IdLookup(pa.array(sought, KIND)).find(pa.array(given_ids, KIND))
    found = sorted(zip(rows.tolist(), positions.tolist(), strict=True))
    assert found == [
        (row, sought.index(one)) for row, one in enumerate(given_ids) if one in sought
    ]


@given(IDS, st.integers(0, 12))
def test_repeats_are_all_but_the_first(ids: list[bytes], start: int) -> None:
    ids = ids[start:]
    expected = [at for at, one in enumerate(ids) if one in ids[:at]]
    assert (
        sorted(repeats(pa.array([b"x" * 20] * start + ids, KIND).slice(start)).tolist())
        == expected
    )


@given(IDS, st.lists(IDS, max_size=3), st.lists(IDS, max_size=2), st.integers(1, 12))
def test_pending_is_asked_less_settled_less_in_flight_whatever_is_compared_at_a_time(
    asked: list[bytes], settled: list[list[bytes]], flying: list[list[bytes]], most: int
) -> None:
    known, joined = Pending(len(asked)), set()
    for span in id_ranges(len(asked), most):
        places = np.flatnonzero(span.contains(heads(words(pa.array(asked, KIND)))))
        some = IdRound.from_ids(
            places, pa.array([asked[place] for place in places], KIND), span
        )
        known.ask(some)
        known.settle(some, [pa.array(ids, KIND) for ids in settled])
        joined |= {
            number
            for number, ids in enumerate(flying)
            if known.mark_in_flight(some, pa.array(ids, KIND))
        }
    done = {one for ids in settled for one in ids}
    open_now = [one for one in dict.fromkeys(asked) if one not in done]
    assert joined == {
        number for number, ids in enumerate(flying) if set(ids) & set(open_now)
    }
    sent = {one for ids in flying for one in ids}
    assert [asked[number] for number in known.pending_numbers()] == [
        one for one in open_now if one not in sent
    ]
    assert int(known.asked.sum()) == len(set(asked))
    assert known.pending_numbers().tolist() == sorted(known.pending_numbers().tolist())


def test_what_is_left_is_numbered_on_through_all_stretches() -> None:
    known, settled, flying = (
        Pending(2 * ROUND + 3),
        [0, ROUND],
        [ROUND - 1, 2 * ROUND + 1],
    )
    known.asked[:] = True
    known.settled[settled], known.in_flight[flying] = True, True
    expected = np.delete(np.arange(2 * ROUND + 3, dtype=np.int32), settled + flying)
    np.testing.assert_array_equal(known.pending_numbers(), expected, strict=True)


@given(st.lists(st.binary(min_size=20, max_size=20), min_size=1), st.integers(1, 9))
def test_spans_part_all_ids_and_are_in_their_order(ids: list[bytes], most: int) -> None:
    found = heads(words(pa.array(ids, KIND)))
    holders = [
        [
            number
            for number, span in enumerate(id_ranges(len(ids), most))
            if span.contains(found)[at]
        ]
        for at in range(len(ids))
    ]
    assert all(len(one) == 1 for one in holders)
    assert [one for _, one in sorted(zip(ids, holders, strict=True))] == sorted(holders)
    assert all(
        id_ranges(len(ids), most)[one[0]].overlaps(name, name)
        for name, one in zip(ids, holders, strict=True)
    )
