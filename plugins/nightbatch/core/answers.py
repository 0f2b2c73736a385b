"""Which landed row speaks for a request: the newest that settled it, else the newest that lost it; and what it cost.

Requests are known by number, the place at which they are staged; what is held of each is a few bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core.landed import COST
from nightbatch.core.pending import Round

MICRO = 10**12
"""Costs are summed as whole 10^-12 US dollars, the scale at which they land."""
STEP = 1_000_000
"""Requests that are looked through at a time."""
_SETTLED = np.int32(1 << 30)
"""Above every shard's number."""


@dataclass
class Speakers:
    """The landed row that speaks for each of `count` requests: its shard and its row there. 8 bytes each."""

    count: int
    ranks: np.ndarray = field(init=False)
    rows: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.ranks, self.rows = (np.full(self.count, -1, dtype=np.int32) for _ in range(2))

    def hear(self, some: Round, entries: Iterable[pa.Table]) -> None:
        """Take in landed rows (`id`, `shard`, `row`, `settled`)."""
        for table in entries:
            found, numbers = some.look_up(table.column("id"))
            shards, rows, final = (np.asarray(table.column(name))[found] for name in ("shard", "row", "settled"))
            ranks = shards + final * _SETTLED
            better = np.flatnonzero(ranks > self.ranks[numbers])
            order = better[np.argsort(ranks[better], kind="stable")]  # of two rows of one request the higher comes last
            self.ranks[numbers[order]], self.rows[numbers[order]] = ranks[order], rows[order]

    def counts(self) -> Counter[int]:
        """Count the requests for which each shard speaks."""
        found = Counter[int]()
        for one in pc.value_counts(pa.array(self.ranks)).to_pylist():
            found[one["values"] & int(_SETTLED - 1)] += one["counts"] if one["values"] >= 0 else 0
        return found

    def spoken_by(self, shards: Iterable[int]) -> Iterator[np.ndarray]:
        """Name the requests for which one of these shards speaks, some at a time."""
        wanted = np.array(sorted(shards), dtype=np.int32)
        for start in range(0, self.count, STEP):
            yield start + np.flatnonzero(np.isin(self.shards(slice(start, start + STEP)), wanted))

    def shards(self, numbers: np.ndarray | slice) -> np.ndarray:
        """Return the shard that speaks for each of these requests, by its number; -1 where none has landed."""
        ranks = self.ranks[numbers]
        shards: np.ndarray = np.where(ranks < 0, ranks, ranks & (_SETTLED - 1))
        return shards


@dataclass
class Extras:
    """What was paid for requests besides the rows that speak for them: lost attempts, and answers that came twice."""

    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(self, numbers: np.ndarray, costs: pa.ChunkedArray) -> None:
        """Take in rows that cost something, or of which nobody knows what they cost."""
        paid, unknown = whole(costs), np.asarray(pc.is_null(costs))
        some = np.flatnonzero((paid != 0) | unknown)
        if len(some):
            self.found.append((numbers[some], paid[some], unknown[some]))

    def within(self, numbers: range) -> tuple[np.ndarray, np.ndarray]:
        """Sum what was paid for each request of a range, in 10^-12 USD, and note where that is not known."""
        paid, unknown = np.zeros(len(numbers), dtype=np.int64), np.zeros(len(numbers), dtype=bool)
        for some, costs, unpriced in self.found:
            mine = (some >= numbers.start) & (some < numbers.stop)
            np.add.at(paid, some[mine] - numbers.start, costs[mine])
            unknown[some[mine & unpriced] - numbers.start] = True
        return paid, unknown


@dataclass(frozen=True)
class Answers:
    """The landed rows of the requests of one part: `rows` at `places[i]` for the i-th request, -1 where none landed.

    cost: what that row has cost, in 10^-12 USD; unknown: where that is not known.
    paid: 10^-12 USD that this partition paid for each request, over all attempts and runs. left_over: what was
    paid for requests that are asked no more, since rows have changed or gone.
    """

    ids: pa.Array
    rows: pa.Table
    places: np.ndarray
    cost: np.ndarray
    unknown: np.ndarray
    paid: np.ndarray
    unpriced: np.ndarray
    left_over: int = 0


def gather(
    shards: np.ndarray, rows: np.ndarray, rows_of: Callable[[int, np.ndarray], tuple[pa.Table, np.ndarray]]
) -> tuple[list[pa.Table], np.ndarray]:
    """Read the rows that speak, shard by shard; return them, maybe among others, and the place of each request's.

    `rows_of` reads rows of a shard, by their numbers, and returns a table and the place of each in it.
    """
    places, offset, tables = np.full(len(shards), -1, dtype=np.int64), 0, []
    for shard in sorted(pc.unique(pa.array(shards[shards >= 0])).to_pylist()):
        mine = np.flatnonzero(shards == shard)
        table, at = rows_of(shard, rows[mine])
        tables.append(table)
        places[mine] = offset + at
        offset += table.num_rows
    return tables, places


def spread(costs: pa.ChunkedArray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cost at each place, in 10^-12 USD, and where it is not known; 0 at place -1."""
    cost, unknown = np.zeros(len(places), dtype=np.int64), np.zeros(len(places), dtype=bool)
    has = places >= 0
    cost[has] = whole(costs)[places[has]]
    unknown[has] = np.asarray(pc.is_null(costs))[places[has]]
    return cost, unknown


def whole(costs: pa.ChunkedArray) -> np.ndarray:
    """Read decimals as whole 10^-12 USD: the low halves of their 128-bit integers."""
    filled = pc.fill_null(costs, 0).cast(COST).combine_chunks()
    halves = np.frombuffer(filled.buffers()[1] or b"", dtype="<i8").reshape(-1, 2)
    return halves[filled.offset : filled.offset + len(filled), 0]
