"""Join rows with answers into the published columns: kept, answer's, ours; each has its type even if all null."""

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
from nightbatch.publish.winners import MICRO, PartAnswers
from nightbatch.spec.published_columns import OURS, PROBLEM, REQUEST

MOST_ERRORS = 1_000
"""The number of different errors that are counted in one batch of rows."""


@dataclass
class Join:
    """Joins rows with their answers, batch by batch in input order, and counts statuses and errors."""

    answer: AnswerType
    kept: Sequence[pa.Field]
    by_status: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    answers: PartAnswers = field(init=False)
    used: np.ndarray = field(init=False)
    uses: np.ndarray = field(init=False)
    """How many rows of the current part have each request."""
    _unassigned_cost: int = 0
    """Cost, in 10^-12 USD, that the next row will carry."""

    def turn(self, answers: PartAnswers, used: np.ndarray) -> None:
        """Start the next part of the rows and its answers; `used`: which of its requests earlier rows have."""
        self.answers = answers
        self.used = used
        self._unassigned_cost = answers.left_over
        self.uses = np.zeros(len(answers.places), dtype=np.int64)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the published files."""
        return pa.schema([*self.kept, *self.answer.fields, *OURS])

    def join(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the output rows of these input rows."""
        request_numbers = rows.column(REQUEST)
        positions = np.asarray(pc.fill_null(request_numbers, -1))
        landed_rows = self._landed_rows(positions)
        status = self._status(rows, landed_rows)
        self._count_statuses(status)
        kept_columns = [rows.column(kept_field.name) for kept_field in self.kept]
        answer_columns = self._answer_columns(landed_rows, status)
        cost = self._cost(positions)
        our_columns = self._our_columns(rows, landed_rows, status, cost)
        columns = [*kept_columns, *answer_columns, *our_columns]
        self.rows += rows.num_rows
        joined = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        self._count_errors(joined.column("_error"))
        return joined

    def _landed_rows(self, positions: np.ndarray) -> pa.Table:
        """Take the landed row of each input row; all null where there is none."""
        places = positions
        if len(self.uses):
            landed_places = self.answers.places[positions]
            places = np.where(positions >= 0, landed_places, -1)
        row_numbers = pa.array(places, mask=places < 0)
        return self.answers.rows.take(row_numbers).combine_chunks()

    def _status(self, rows: pa.RecordBatch, landed_rows: pa.Table) -> pa.Array:
        landed_status = _column(landed_rows, "status").cast(pa.string())
        status = pc.fill_null(landed_status, str(Status.MISSING))
        is_rejected = pc.is_valid(rows.column(PROBLEM))
        return pc.if_else(is_rejected, str(Status.REJECTED), status)

    def _count_statuses(self, status: pa.Array) -> None:
        for counted in pc.value_counts(status).to_pylist():
            self.by_status[counted["values"]] += counted["counts"]

    def _count_errors(self, errors: pa.Array) -> None:
        """Count errors without the API's words."""
        error_counts = pc.value_counts(errors.drop_null())
        for counted in error_counts[:MOST_ERRORS].to_pylist():
            shown_error = safe_words.shown(counted["values"])
            self.errors[shown_error] += counted["counts"]

    def _answer_columns(
        self, landed_rows: pa.Table, status: pa.Array
    ) -> list[pa.Array]:
        """Return the answer's columns; null in rows that are not answered."""
        is_answered = pc.equal(status, str(Status.ANSWERED))
        answer = _column(landed_rows, "answer")
        is_struct = pa.types.is_struct(answer.type)
        answer_columns = answer.flatten() if is_struct else [answer]
        return [
            pc.if_else(is_answered, column, pa.scalar(None, column.type))
            for column in answer_columns
        ]

    def _our_columns(
        self,
        rows: pa.RecordBatch,
        landed_rows: pa.Table,
        status: pa.Array,
        cost: pa.Array,
    ) -> list[pa.Array]:
        ids = self.answers.ids.take(rows.column(REQUEST))
        repeating_columns = [
            _column(landed_rows, name).cast(pa.string()) for name in REPEATING
        ]
        error = pc.coalesce(rows.column(PROBLEM), _column(landed_rows, "error"))
        is_missing = pc.equal(status, str(Status.MISSING))
        has_no_reason = pc.and_(is_missing, pc.is_null(error))
        return [
            custom_ids(ids),
            status,
            pc.if_else(has_no_reason, "never answered", error),
            *repeating_columns,
            _input_tokens(landed_rows),
            _column(landed_rows, "output"),
            cost,
        ]

    def _cost(self, positions: np.ndarray) -> pa.Array:
        """Assign each request's cost to the first row that has it; the other rows of the request cost nothing.

        The first row of the part also carries what was paid for requests that no row has any more, so that the sum
        over the partition equals the amount paid.
        """
        answers = self.answers
        row_count = len(positions)
        is_first = self._first_uses(positions)
        first_positions = positions[is_first]
        cost = np.zeros(row_count)
        cost[is_first] = answers.paid[first_positions] / MICRO
        if self._unassigned_cost and row_count:
            cost[0] += self._unassigned_cost / MICRO
            self._unassigned_cost = 0
        is_unknown = np.zeros(row_count, dtype=bool)
        is_unknown[is_first] = answers.unpriced[first_positions]
        return pa.array(cost, pa.float64(), mask=is_unknown)

    def _first_uses(self, positions: np.ndarray) -> np.ndarray:
        """Return which rows are the first of the partition to have their request, and count the uses of requests."""
        rows_with_request = np.flatnonzero(positions >= 0)
        request_positions = positions[rows_with_request]
        requests, first_places = np.unique(request_positions, return_index=True)
        is_unused = self.uses[requests] == 0
        is_new = is_unused & ~self.used[requests]
        new_places = first_places[is_new]
        first_rows = rows_with_request[new_places]
        is_first = np.zeros(len(positions), dtype=bool)
        is_first[first_rows] = True
        self.uses += np.bincount(request_positions, minlength=len(self.uses))
        return is_first


def _input_tokens(landed_rows: pa.Table) -> pa.Array:
    """Add up plain and cached input tokens; null where nothing was used."""
    total = _column(landed_rows, "input")
    for token_class in ("cache_write_5m", "cache_write_1h", "cache_read"):
        token_counts = pc.fill_null(_column(landed_rows, token_class), 0)
        total = pc.add(total, token_counts)
    return total


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
