"""The published columns: kept columns as they were, the answer's, then ours; every column typed even when all null."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.custom_ids import custom_ids
from nightbatch.land.landed_schema import REPEATING
from nightbatch.messages import safe_words
from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.outcome import Status
from nightbatch.publish.winners import MICRO, Answers
from nightbatch.spec.published_columns import OURS, PROBLEM, REQUEST

MOST_ERRORS = 1_000
"""Different errors that are counted in one batch of rows."""


@dataclass
class Join:
    """Joins rows with their answers, batch by batch in input order, and counts what comes out."""

    answer: AnswerType
    kept: Sequence[pa.Field]
    by_status: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    answers: Answers = field(init=False)
    used: np.ndarray = field(init=False)
    uses: np.ndarray = field(init=False)
    """How many rows of the present part ask each request."""
    _carried: int = 0

    def turn(self, answers: Answers, used: np.ndarray) -> None:
        """Go on to the next part of the rows and its answers; `used`: which of its requests rows have asked before."""
        self.answers, self.used, self._carried = answers, used, answers.left_over
        self.uses = np.zeros(len(answers.places), dtype=np.int64)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the published files."""
        return pa.schema([*self.kept, *self.answer.fields, *OURS])

    def join(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the output rows of these input rows."""
        numbers = rows.column(REQUEST)
        positions = np.asarray(pc.fill_null(numbers, -1))
        places = (
            np.where(positions >= 0, self.answers.places[positions], -1)
            if len(self.uses)
            else positions
        )
        taken = self.answers.rows.take(
            pa.array(places, mask=places < 0)
        ).combine_chunks()
        status = self._status(rows, taken)
        self.by_status.update(
            {
                one["values"]: one["counts"]
                for one in pc.value_counts(status).to_pylist()
            }
        )
        answered = pc.equal(status, str(Status.ANSWERED))
        columns = [
            *(rows.column(one.name) for one in self.kept),
            *(
                pc.if_else(answered, column, pa.scalar(None, column.type))
                for column in self._answer(taken)
            ),
            *self._ours(rows, taken, status, self._cost(positions)),
        ]
        self.rows += rows.num_rows
        joined = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        told = pc.value_counts(joined.column("_error").drop_null())
        for one in told[:MOST_ERRORS].to_pylist():
            self.errors[safe_words.shown(one["values"])] += one["counts"]
        return joined

    def _status(self, rows: pa.RecordBatch, taken: pa.Table) -> pa.Array:
        landed = pc.fill_null(
            _one(taken, "status").cast(pa.string()), str(Status.MISSING)
        )
        return pc.if_else(
            pc.is_valid(rows.column(PROBLEM)), str(Status.REJECTED), landed
        )

    def _answer(self, taken: pa.Table) -> list[pa.Array]:
        column = _one(taken, "answer")
        arrays: list[pa.Array] = (
            column.flatten() if pa.types.is_struct(column.type) else [column]
        )
        return arrays

    def _ours(
        self, rows: pa.RecordBatch, taken: pa.Table, status: pa.Array, cost: pa.Array
    ) -> list[pa.Array]:
        ids = self.answers.ids.take(rows.column(REQUEST))
        inputs = [
            pc.fill_null(_one(taken, name), 0)
            for name in ("cache_write_5m", "cache_write_1h", "cache_read")
        ]
        total = _one(taken, "input")
        for part in inputs:
            total = pc.add(total, part)
        error = pc.coalesce(rows.column(PROBLEM), _one(taken, "error"))
        absent = pc.and_(pc.equal(status, str(Status.MISSING)), pc.is_null(error))
        return [
            custom_ids(ids),
            status,
            pc.if_else(absent, "never answered", error),
            *(_one(taken, name).cast(pa.string()) for name in REPEATING),
            total,
            _one(taken, "output"),
            cost,
        ]

    def _cost(self, positions: np.ndarray) -> pa.Array:
        """Give each request's cost to the first row that asked it; the rows that share it cost nothing.

        The first row of the part also carries what was paid for requests that are asked no more, so that the sum
        over the partition stays the bill.
        """
        valid = np.flatnonzero(positions >= 0)
        asked = positions[valid]
        found, firsts = np.unique(asked, return_index=True)
        fresh = (self.uses[found] == 0) & ~self.used[found]
        first = np.zeros(len(positions), dtype=bool)
        first[valid[firsts[fresh]]] = True
        self.uses += np.bincount(asked, minlength=len(self.uses))
        cost = np.zeros(len(positions))
        cost[first] = self.answers.paid[positions[first]] / MICRO
        if self._carried and len(cost):
            cost[0] += self._carried / MICRO
            self._carried = 0
        unknown = np.zeros(len(positions), dtype=bool)
        unknown[first] = self.answers.unpriced[positions[first]]
        return pa.array(cost, pa.float64(), mask=unknown)


def _one(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
