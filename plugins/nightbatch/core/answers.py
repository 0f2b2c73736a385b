"""Which landed row speaks for a request: the newest that settled it, else the newest that lost it; and what it cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core.outcome import SETTLED, Status
from nightbatch.core.results import COST

MICRO = 10**12
"""Costs are summed as whole 10^-12 US dollars, the scale at which they land."""


@dataclass(frozen=True)
class Answers:
    """The landed row of each asked request: `rows` at `places[i]` for the i-th asked id, -1 where none landed."""

    asked: pa.Array
    places: np.ndarray
    rows: pa.Table
    paid: np.ndarray
    unpriced: np.ndarray
    left_over: int = 0
    """paid: 10^-12 USD that this partition paid for each asked request, over all attempts and runs. left_over: what it
    paid for requests that are asked no more, since rows have changed or gone."""

    def prices(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what the landed row of each asked request has cost, in 10^-12 USD, and where that is not known."""
        cost, unknown = (np.zeros(len(self.asked), dtype=kind) for kind in (np.int64, bool))
        has, column = self.places >= 0, self.rows.column("cost_usd")
        cost[has] = whole(column)[self.places[has]]
        unknown[has] = np.asarray(pc.is_null(column))[self.places[has]]
        return cost, unknown

    def look_up(self, ids: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Return for each id its position among the asked, and its landed row's; -1 where there is none."""
        found = pc.fill_null(pc.index_in(ids, value_set=self.asked), -1)
        positions = np.asarray(found).astype(np.int64)
        places = np.where(positions >= 0, self.places[positions], -1) if len(self.places) else positions
        return positions, places


class Wave(NamedTuple):
    """A landed table: whether this partition paid for it, and whether its answers may be used."""

    rows: pa.Table
    ours: bool
    usable: bool = True


def gather(asked: pa.Array, landed: Iterable[Wave], schema: pa.Schema) -> Answers:
    """Choose among landed tables, oldest first."""
    lost, settled = (np.full(len(asked), -1, dtype=np.int64) for _ in range(2))
    paid, unpriced = np.zeros(len(asked), dtype=np.int64), np.zeros(len(asked), dtype=bool)
    tables, offset, total = [], 0, 0
    final = pa.array(sorted(SETTLED), pa.string())
    for table, ours, usable in landed:
        positions = pc.index_in(table.column("id"), value_set=asked)
        known = table.filter(pc.is_valid(positions))
        at = np.asarray(pc.drop_null(positions)).astype(np.int64)
        if ours:
            costs = known.column("cost_usd")
            np.add.at(paid, at, whole(costs))
            unpriced[at] |= np.asarray(pc.is_null(costs))
            total += int(whole(table.column("cost_usd")).sum())
        if not usable:
            continue
        is_settled = np.asarray(pc.is_in(known.column("status").cast(pa.string()), value_set=final))
        rows = np.arange(offset, offset + len(at), dtype=np.int64)
        lost[at[~is_settled]] = rows[~is_settled]
        settled[at[is_settled]] = rows[is_settled]
        tables.append(known.cast(schema))
        offset += len(at)
    places = np.where(settled >= 0, settled, lost)
    rows = pa.concat_tables([schema.empty_table(), *tables])
    return Answers(asked, places, rows, paid, unpriced, total - int(paid.sum()))


def statuses(answers: Answers) -> np.ndarray:
    """Return the status of each asked request, as text; one that never landed is missing."""
    landed = np.asarray(answers.rows.column("status").cast(pa.string()), dtype=object)
    found = np.full(len(answers.asked), str(Status.MISSING), dtype=object)
    has = answers.places >= 0
    found[has] = landed[answers.places[has]]
    return found


def whole(costs: pa.ChunkedArray) -> np.ndarray:
    """Read decimals as whole 10^-12 USD: the low halves of their 128-bit integers."""
    filled = pc.fill_null(costs, 0).cast(COST).combine_chunks()
    halves = np.frombuffer(filled.buffers()[1] or b"", dtype="<i8").reshape(-1, 2)
    return halves[filled.offset : filled.offset + len(filled), 0]
