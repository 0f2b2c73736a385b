"""The whole logic: pending = asked − settled − in flight. Sets of ids are Arrow arrays, never Python objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core.finder import Finder, repeats
from nightbatch.core.staging import CLAIM

ASKED = pa.schema([*CLAIM, pa.field("size", pa.int32(), nullable=False)])


def distinct(asked: Iterable[pa.Table]) -> pa.Table:
    """Merge the requests of all parts (`id`, `part`, `size`), each id once, where it first stands."""
    table = pa.concat_tables(list(asked) or [ASKED.empty_table()])
    again = repeats(table.column("id"))
    return _without(table, again) if len(again) else table


def difference(asked: pa.Table, known: Iterable[pa.Array]) -> pa.Table:
    """Return the rows of `asked`, of distinct ids, whose id is in none of the known sets; their order stays."""
    found = _found(asked, known)
    return asked.filter(pa.array(~found)) if found.any() else asked


def common(asked: pa.Table, known: Iterable[pa.Array]) -> pa.Table:
    """Return the rows of `asked`, of distinct ids, whose id is in one of the known sets; their order stays."""
    return asked.filter(pa.array(_found(asked, known)))


def _found(asked: pa.Table, known: Iterable[pa.Array]) -> np.ndarray:
    found, finder = np.zeros(asked.num_rows, dtype=bool), Finder(asked.column("id"))
    for ids in known if asked.num_rows else ():
        found[finder.find(ids)[1]] = True
    return found


def _without(table: pa.Table, places: np.ndarray) -> pa.Table:
    kept = np.ones(table.num_rows, dtype=bool)
    kept[places] = False
    return table.filter(pa.array(kept))


def meets(asked: pa.Table, ids: pa.Array) -> bool:
    """Tell whether any of these ids is asked."""
    return bool(len(ids)) and bool(pc.any(pc.is_in(asked.column("id"), value_set=_chunk(ids))).as_py())


def shards(pending: pa.Table, *, max_requests: int, max_bytes: int, overhead: int, envelope: int) -> Iterator[pa.Table]:
    """Cut what is pending into shards, in its order: each fits a batch by count and by the exact bytes of its body.

    `overhead` is what an item adds to its content, its comma included; `envelope` what the body adds besides.
    """
    sizes = np.asarray(pending.column("size"), dtype=np.int64) + overhead
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        room = max_bytes - envelope + 1  # the last item has no comma
        fits = int(np.searchsorted(ends, before + room, side="right"))
        stop = max(start + 1, min(fits, start + max_requests))
        yield pending.slice(start, stop - start)
        start = stop


def as_claim(shard: pa.Table) -> pa.Table:
    """Keep what a claim holds of a shard."""
    return shard.select(["id", "part"]).cast(CLAIM)


def _chunk(ids: pa.Array | pa.ChunkedArray) -> pa.Array:
    return ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
