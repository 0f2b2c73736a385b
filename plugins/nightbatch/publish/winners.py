"""Which landed row speaks for a request: the newest that settled it, else the newest that lost it; and what it cost.

Requests are known by number, the place at which they are staged; what is held of each is a few bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.id_rounds import Round
from nightbatch.land.landed_schema import COST
from nightbatch.spec.enrichment import MAX_REQUESTS

MICRO = 10**12
"""Costs are summed as whole 10^-12 US dollars, the scale at which they land."""
STEP = 1_000_000
"""Requests that are looked through at a time."""


@dataclass(frozen=True)
class _Form:
    """How a shard, a row of it and whether that settled its request are one number: the higher, the better it speaks.

    final: above all that settled nothing. rows: above every row's number.
    """

    kind: type[np.signedinteger[Any]]
    final: int
    rows: int

    def holds(self, shards: np.ndarray, rows: np.ndarray) -> bool:
        return bool(
            (int(shards.max()) + 1) * self.rows <= self.final and rows.max() < self.rows
        )

    def pack(
        self, shards: np.ndarray, rows: np.ndarray, final: np.ndarray
    ) -> np.ndarray:
        packed: np.ndarray = (
            shards.astype(self.kind) * self.kind(self.rows)
            + rows
            + final * self.kind(self.final)
        )
        return packed

    def unpack(self, said: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shards, rows = np.divmod(said & self.kind(self.final - 1), self.kind(self.rows))
        return shards, rows, said >= self.final


_NARROW, _WIDE = _Form(np.int32, 2**30, MAX_REQUESTS), _Form(np.int64, 2**62, 2**31)


@dataclass
class Speakers:
    """The landed row that speaks for each of `count` requests: its shard and its row there.

    4 bytes each; 8 from the ten-thousandth shard on, or where one has more rows than the API takes requests.
    """

    count: int
    _form: _Form = field(init=False, default=_NARROW)
    _said: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self._said = np.full(self.count, -1, dtype=self._form.kind)

    def hear(self, some: Round, entries: Iterable[pa.Table]) -> None:
        """Take in landed rows (`id`, `shard`, `row`, `settled`)."""
        for table in entries:
            found, numbers = some.look_up(table.column("id"))
            if not len(found):
                continue
            shards, rows, final = (
                np.asarray(table.column(name))[found]
                for name in ("shard", "row", "settled")
            )
            if not self._form.holds(shards, rows):
                self._widen()
            said = self._form.pack(shards, rows, final)
            better = np.flatnonzero(said > self._said[numbers])
            order = better[
                np.argsort(said[better], kind="stable")
            ]  # of two rows of one request the higher comes last
            self._said[numbers[order]] = said[order]

    def counts(self) -> Counter[int]:
        """Count the requests for which each shard speaks."""
        found = Counter[int]()
        for start in range(0, self.count, STEP):
            shards, _ = self.of(slice(start, start + STEP))
            found.update(
                dict(
                    zip(
                        *(
                            part.tolist()
                            for part in np.unique(shards, return_counts=True)
                        ),
                        strict=True,
                    )
                )
            )
        return found

    def of(self, numbers: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the shard that speaks for each of these requests, by its number (-1: none has landed), and its row."""
        said = self._said[numbers]
        shards, rows, _ = self._form.unpack(said)
        return np.where(said < 0, self._form.kind(-1), shards), rows

    def _widen(self) -> None:
        said, self._form = self._said, _WIDE  # which holds whatever an index can tell
        self._said = np.where(said < 0, np.int64(-1), _WIDE.pack(*_NARROW.unpack(said)))


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
        paid, unknown = (
            np.zeros(len(numbers), dtype=np.int64),
            np.zeros(len(numbers), dtype=bool),
        )
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
    shards: np.ndarray,
    rows: np.ndarray,
    rows_of: Callable[[int, np.ndarray], tuple[pa.Table, np.ndarray]],
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
    cost, unknown = (
        np.zeros(len(places), dtype=np.int64),
        np.zeros(len(places), dtype=bool),
    )
    has = places >= 0
    cost[has] = whole(costs)[places[has]]
    unknown[has] = np.asarray(pc.is_null(costs))[places[has]]
    return cost, unknown


def whole(costs: pa.ChunkedArray) -> np.ndarray:
    """Read decimals as whole 10^-12 USD: the low halves of their 128-bit integers."""
    filled = pc.fill_null(costs, 0).cast(COST).combine_chunks()
    halves = np.frombuffer(filled.buffers()[1] or b"", dtype="<i8").reshape(-1, 2)
    return halves[filled.offset : filled.offset + len(filled), 0]
