"""Which landed row speaks for a request: the newest that settled it, else the newest that lost it; and what it cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core.finder import Finder
from nightbatch.core.landed import COST

MICRO = 10**12
"""Costs are summed as whole 10^-12 US dollars, the scale at which they land."""


@dataclass(frozen=True)
class Answers:
    """The landed row of each asked request: `rows` at `places[i]` for the i-th asked id, -1 where none landed.

    paid: 10^-12 USD that this partition paid for each asked request, over all attempts and runs. left_over: what it
    paid for requests that are asked no more, since rows have changed or gone.
    """

    asked: Finder
    rows: pa.Table
    places: np.ndarray
    paid: np.ndarray
    unpriced: np.ndarray
    left_over: int = 0

    def prices(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what the landed row of each asked request has cost, in 10^-12 USD, and where that is not known."""
        cost, unknown = (np.zeros(len(self.places), dtype=kind) for kind in (np.int64, bool))
        has, column = self.places >= 0, self.rows.column("cost_usd")
        cost[has] = whole(column)[self.places[has]]
        unknown[has] = np.asarray(pc.is_null(column))[self.places[has]]
        return cost, unknown

    def look_up(self, ids: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Return for each id its position among the asked, and its landed row's; -1 where there is none."""
        positions = np.full(len(ids), -1, dtype=np.int64)
        rows, found = self.asked.find(ids)
        positions[rows] = found
        positions[np.asarray(pc.is_null(ids))] = -1
        places = np.where(positions >= 0, self.places[positions], -1) if len(self.places) else positions
        return positions, places


def speakers(asked: Finder, entries: Iterable[pa.Table]) -> np.ndarray:
    """Name the shard whose row speaks for each asked request, by its number; -1 where none has landed."""
    settled, lost = (np.full(len(asked.ids), -1, dtype=np.int32) for _ in range(2))
    for table in entries:
        rows, at = asked.find(table.column("id"))
        shards, final = (np.asarray(table.column(name))[rows] for name in ("shard", "settled"))
        np.maximum.at(settled, at[final], shards[final])
        np.maximum.at(lost, at[~final], shards[~final])
    return np.where(settled >= 0, settled, lost)


def gather(
    asked: Finder,
    speaking: np.ndarray,
    ids_of: Callable[[int], pa.ChunkedArray],
    rows_of: Callable[[int, np.ndarray], pa.Table],
) -> tuple[pa.Table | None, np.ndarray]:
    """Read the landed rows that speak, shard by shard; return them and the place of each asked request's."""
    places, offset = np.full(len(speaking), -1, dtype=np.int64), 0
    tables = []
    for shard in np.unique(speaking[speaking >= 0]).tolist():
        rows, at = asked.find(ids_of(shard))
        mine = speaking[at] == shard
        order = np.argsort(rows[mine])
        rows, at = rows[mine][order], at[mine][order]
        tables.append(rows_of(shard, rows))
        places[at] = np.arange(offset, offset + len(at))
        offset += len(at)
    return (pa.concat_tables(tables).combine_chunks() if tables else None), places


def charge(asked: Finder, bills: Iterable[pa.Table]) -> tuple[np.ndarray, np.ndarray]:
    """Sum what was paid for each asked request (`id`, `cost_usd`), and note where that is not known."""
    paid, unpriced = np.zeros(len(asked.ids), dtype=np.int64), np.zeros(len(asked.ids), dtype=bool)
    for bill in bills:
        rows, at = asked.find(bill.column("id"))
        costs = bill.column("cost_usd")
        np.add.at(paid, at, whole(costs)[rows])
        unpriced[at] |= np.asarray(pc.is_null(costs))[rows]
    return paid, unpriced


def whole(costs: pa.ChunkedArray) -> np.ndarray:
    """Read decimals as whole 10^-12 USD: the low halves of their 128-bit integers."""
    filled = pc.fill_null(costs, 0).cast(COST).combine_chunks()
    halves = np.frombuffer(filled.buffers()[1] or b"", dtype="<i8").reshape(-1, 2)
    return halves[filled.offset : filled.offset + len(filled), 0]
