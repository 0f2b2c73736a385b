"""Find the landed row that is published for a request: the newest that settled it, else the newest; and its cost.

Requests are identified by number, their position among the staged ones; each takes a few bytes of memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.id_rounds import IdRound
from nightbatch.land.landed_schema import COST
from nightbatch.spec.rules import MAX_REQUESTS

PICOS_PER_USD = 10**12
"""Costs are summed as whole 10^-12 US dollars, the scale of landed costs."""
STEP = 1_000_000
"""Requests that are counted at a time."""


@dataclass(frozen=True)
class _Packing:
    """Packs a shard, a row of it and whether that settled its request into one number: the highest row wins.

    final: added to rows that settled their request; above all other numbers. rows: above every row's number.
    """

    kind: type[np.signedinteger[Any]]
    final: int
    rows: int

    def fits(self, shards: np.ndarray, rows: np.ndarray) -> bool:
        """Check whether these shards and rows fit the form."""
        shard_end = (int(shards.max()) + 1) * self.rows
        return bool(shard_end <= self.final and rows.max() < self.rows)

    def pack(
        self, shards: np.ndarray, rows: np.ndarray, settled: np.ndarray
    ) -> np.ndarray:
        """Pack each row into one number."""
        row_factor = self.kind(self.rows)
        final_bit = self.kind(self.final)
        shard_parts = shards.astype(self.kind) * row_factor
        final_parts = settled * final_bit
        packed: np.ndarray = shard_parts + rows + final_parts
        return packed

    def unpack(self, packed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the shards, rows and whether they settled their request."""
        position_bits = self.kind(self.final - 1)
        row_factor = self.kind(self.rows)
        shards, rows = np.divmod(packed & position_bits, row_factor)
        return shards, rows, packed >= self.final


_NARROW = _Packing(np.int32, 2**30, MAX_REQUESTS)
_WIDE = _Packing(np.int64, 2**62, 2**31)


def _values(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table.column(name))


@dataclass
class Winners:
    """The landed row that is published for each of `count` requests: its shard and its row there.

    4 bytes each; 8 from the ten-thousandth shard on, or if a shard has more rows than the API accepts requests.
    """

    count: int
    _packing: _Packing = field(init=False, default=_NARROW)
    _packed: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self._packed = np.full(self.count, -1, dtype=self._packing.kind)

    def add(self, id_round: IdRound, entries: Iterable[pa.Table]) -> None:
        """Add landed rows (`id`, `shard`, `row`, `settled`)."""
        for table in entries:
            entry_rows, numbers = id_round.look_up(table.column("id"))
            if not len(entry_rows):
                continue
            shards = _values(table, "shard")[entry_rows]
            rows = _values(table, "row")[entry_rows]
            settled = _values(table, "settled")[entry_rows]
            if not self._packing.fits(shards, rows):
                self._widen()
            packed = self._packing.pack(shards, rows, settled)
            self._keep_highest(numbers, packed)

    def _keep_highest(self, numbers: np.ndarray, packed: np.ndarray) -> None:
        """Replace the packed row of each request by a higher one."""
        present = self._packed[numbers]
        higher_places = np.flatnonzero(packed > present)
        # If two rows have the same request, the higher one is assigned last.
        ascending = np.argsort(packed[higher_places], kind="stable")
        higher_places = higher_places[ascending]
        higher_numbers = numbers[higher_places]
        self._packed[higher_numbers] = packed[higher_places]

    def counts(self) -> Counter[int]:
        """Count the requests whose published row is in each shard."""
        counts_by_shard = Counter[int]()
        for start in range(0, self.count, STEP):
            step_numbers = slice(start, start + STEP)
            shards, _ = self.rows_of(step_numbers)
            unique_shards, request_counts = np.unique(shards, return_counts=True)
            shard_numbers = unique_shards.tolist()
            pairs = zip(shard_numbers, request_counts.tolist(), strict=True)
            for shard, request_count in pairs:
                counts_by_shard[shard] += request_count
        return counts_by_shard

    def rows_of(self, numbers: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of the shard with each request's published row (-1: none has landed), and the row."""
        packed = self._packed[numbers]
        shards, rows, _ = self._packing.unpack(packed)
        no_shard = self._packing.kind(-1)
        return np.where(packed < 0, no_shard, shards), rows

    def _widen(self) -> None:
        """Change to the wide form, which holds every number that an index can have."""
        narrow = self._packed
        self._packing = _WIDE
        wide = _WIDE.pack(*_NARROW.unpack(narrow))
        self._packed = np.where(narrow < 0, np.int64(-1), wide)


class _PaidRows(NamedTuple):
    """The numbers of requests, what was paid for a row of each (10^-12 USD), and where that is not known."""

    numbers: np.ndarray
    paid: np.ndarray
    unknown: np.ndarray


@dataclass
class ExtraCosts:
    """What was paid for requests besides their published rows: lost attempts, and answers that came twice."""

    paid_rows: list[_PaidRows] = field(default_factory=list)

    def add(self, numbers: np.ndarray, costs: pa.ChunkedArray) -> None:
        """Add rows that have a cost, or whose cost is not known."""
        paid = picos(costs)
        unknown = np.asarray(pc.is_null(costs))
        has_cost = (paid != 0) | unknown
        rows = np.flatnonzero(has_cost)
        if not len(rows):
            return
        paid_rows = _PaidRows(numbers[rows], paid[rows], unknown[rows])
        self.paid_rows.append(paid_rows)

    def within(self, numbers: range) -> tuple[np.ndarray, np.ndarray]:
        """Sum what was paid for each request of a range, in 10^-12 USD, and mark where that is not known."""
        start = numbers.start
        stop = numbers.stop
        paid = _zero_costs(len(numbers))
        unknown = _all_false(len(numbers))
        for rows in self.paid_rows:
            in_range = (rows.numbers >= start) & (rows.numbers < stop)
            range_paid = rows.paid[in_range]
            range_unknown = rows.unknown[in_range]
            places = rows.numbers[in_range] - start
            np.add.at(paid, places, range_paid)
            unpriced_places = places[range_unknown]
            unknown[unpriced_places] = True
        return paid, unknown


@dataclass(frozen=True)
class PartAnswers:
    """The landed rows of the requests of one part: `rows` at `places[i]` for the i-th request, -1 where none landed.

    cost: the cost of that row, in 10^-12 USD; unknown: where the cost is not known.
    paid: 10^-12 USD that this partition paid for each request, over all attempts and runs; unpriced: where that is not
    known.
    """

    ids: pa.Array
    rows: pa.Table
    places: np.ndarray
    cost: np.ndarray
    unknown: np.ndarray
    paid: np.ndarray
    unpriced: np.ndarray


def read_rows(
    shards: np.ndarray,
    rows: np.ndarray,
    rows_of: Callable[[int, np.ndarray], tuple[pa.Table, np.ndarray]],
) -> tuple[list[pa.Table], np.ndarray]:
    """Read rows shard by shard; return tables that contain them and the place of each row in all tables together.

    `rows_of` reads rows of a shard, by their numbers, and returns a table and the place of each in it.
    """
    places = np.full(len(shards), -1, dtype=np.int64)
    table_start = 0
    tables: list[pa.Table] = []
    landed_shards = shards[shards >= 0]
    shard_numbers = pc.unique(pa.array(landed_shards)).to_pylist()
    for shard in sorted(shard_numbers):
        shard_requests = np.flatnonzero(shards == shard)
        table, table_places = rows_of(shard, rows[shard_requests])
        tables.append(table)
        places[shard_requests] = table_start + table_places
        table_start += table.num_rows
    return tables, places


def cost_at_places(
    costs: pa.ChunkedArray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cost at each place, in 10^-12 USD, and where it is not known; 0 at place -1."""
    cost = _zero_costs(len(places))
    unknown = _all_false(len(places))
    has_row = places >= 0
    row_places = places[has_row]
    row_costs = picos(costs)
    cost[has_row] = row_costs[row_places]
    is_unknown = np.asarray(pc.is_null(costs))
    unknown[has_row] = is_unknown[row_places]
    return cost, unknown


def _zero_costs(count: int) -> np.ndarray:
    return np.zeros(count, dtype=np.int64)


def _all_false(count: int) -> np.ndarray:
    return np.zeros(count, dtype=bool)


def picos(costs: pa.ChunkedArray) -> np.ndarray:
    """Read decimals as whole 10^-12 US dollars: the low halves of their 128-bit integers."""
    known_costs = pc.fill_null(costs, 0)
    decimals = known_costs.cast(COST).combine_chunks()
    _, value_buffer = decimals.buffers()
    all_halves = np.frombuffer(value_buffer or b"", dtype="<i8")
    value_halves = all_halves.reshape(-1, 2)
    start = decimals.offset
    stop = start + len(decimals)
    return value_halves[start:stop, 0]
