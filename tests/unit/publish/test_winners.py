"""Which landed row is published for a request, whatever comes in which order, and however many shards there are."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import chain

import numpy as np
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from nightbatch.columnar.id_lookup import ID
from nightbatch.columnar.id_rounds import IdRound
from nightbatch.ledger.history.index import INDEX
from nightbatch.publish.winners import Winners

REQUESTS = 6
IDS = [hashlib.sha256(bytes([number])).digest()[:20] for number in range(REQUESTS + 2)]
"""Those of the requests, and two that nobody asks."""
SHARDS = st.sampled_from([1, 2, 10_736, 10_737, 2_000_000, 2**31 - 2])
NOBODY = (False, -1, -1)
ROWS = st.sampled_from([0, 1, 99_999, 100_000, 2**31 - 1])
Entry = tuple[bytes, int, int, bool]
ENTRIES = st.lists(st.tuples(st.sampled_from(IDS), SHARDS, ROWS, st.booleans()))


def asked() -> IdRound:
    return IdRound.from_ids(
        np.arange(REQUESTS, dtype=np.int32), pa.array(IDS[:REQUESTS], ID)
    )


def told(*entries: Entry) -> pa.Table:
    return pa.table(
        [list(column) for column in zip(*entries, strict=True)] or [[]] * len(INDEX),
        INDEX,
    )


@given(st.lists(ENTRIES, max_size=4))
@example(
    [[(IDS[0], 1, 5, True)], [(IDS[0], 10_737, 0, False), (IDS[1], 3, 100_000, False)]]
)
def test_of_all_rows_the_newest_that_settled_wins_and_else_the_newest(
    tables: list[list[Entry]],
) -> None:
    winners, best = Winners(REQUESTS), dict[bytes, tuple[bool, int, int]]()
    winners.add(asked(), [told(*entries) for entries in tables])
    for name, shard, row, settled in chain.from_iterable(tables):
        best[name] = max(best.get(name, NOBODY), (settled, shard, row))
    expected = [best.get(name, NOBODY)[1:] for name in IDS[:REQUESTS]]
    shards, rows = winners.rows_of(slice(None))
    assert [
        (shard, row if shard >= 0 else -1)
        for shard, row in zip(shards.tolist(), rows.tolist(), strict=True)
    ] == expected
    assert winners.counts() == Counter(shards.tolist())


def test_a_request_takes_four_bytes_and_eight_where_shards_or_rows_are_many() -> None:
    for shard, row, size in ((10_736, 99_999, 4), (10_737, 0, 8), (1, 100_000, 8)):
        winners = Winners(REQUESTS)
        winners.add(asked(), [told((IDS[0], shard, row, True))])
        assert winners._packed.nbytes == size * REQUESTS
