"""Join rows with answers into the published columns: kept, answer's, ours; each has its type even if all null."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.custom_ids import custom_ids
from nightbatch.columnar.value_counts import value_counts
from nightbatch.land.landed_schema import REPEATING
from nightbatch.messages import safe_words
from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.outcome import Status
from nightbatch.publish.winners import PICOS_PER_USD, PartAnswers
from nightbatch.spec.parameters.output_columns import PROBLEM, REQUEST
from nightbatch.spec.published_columns import OURS

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
    is_used: np.ndarray = field(init=False)
    row_counts: np.ndarray = field(init=False)
    """How many rows of the current part have each request."""

    def start_part(self, answers: PartAnswers, is_used: np.ndarray) -> None:
        """Start the next part of the rows and its answers; `is_used`: which of its requests earlier rows have."""
        self.answers = answers
        self.is_used = is_used
        self.row_counts = np.zeros(len(answers.places), dtype=np.int64)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the published files."""
        return pa.schema([*self.kept, *self.answer.fields, *OURS])

    def join(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the output rows of these input rows."""
        request_numbers = rows.column(REQUEST)
        filled_numbers = pc.fill_null(request_numbers, -1)
        positions = np.asarray(filled_numbers)
        landed_rows = self._landed_rows(positions)
        status = self._status(rows, landed_rows)
        self._count_statuses(status)
        kept_columns = [rows.column(kept_field.name) for kept_field in self.kept]
        answer_columns = self._answer_columns(landed_rows, status)
        cost = self._cost(positions)
        our_columns = self._our_columns(rows, landed_rows, status, cost)
        columns = [*kept_columns, *answer_columns, *our_columns]
        joined = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        self._count_errors(joined.column("_error"))
        self.rows += rows.num_rows
        return joined

    def _landed_rows(self, positions: np.ndarray) -> pa.Table:
        """Take the landed row of each input row; all null where there is none."""
        places = positions
        if len(self.row_counts):
            has_request = positions >= 0
            landed_places = self.answers.places[positions]
            places = np.where(has_request, landed_places, -1)
        has_no_row = places < 0
        row_numbers = pa.array(places, mask=has_no_row)
        landed_rows = self.answers.rows.take(row_numbers)
        return landed_rows.combine_chunks()

    def _status(self, rows: pa.RecordBatch, landed_rows: pa.Table) -> pa.Array:
        landed_status = _column(landed_rows, "status").cast(pa.string())
        status = pc.fill_null(landed_status, str(Status.MISSING))
        is_rejected = pc.is_valid(rows.column(PROBLEM))
        return pc.if_else(is_rejected, str(Status.REJECTED), status)

    def _count_statuses(self, status: pa.Array) -> None:
        for value, row_count in value_counts(status):
            self.by_status[value] += row_count

    def _count_errors(self, errors: pa.Array) -> None:
        """Count errors without the API's words."""
        for error, row_count in value_counts(errors, MOST_ERRORS):
            shown_error = safe_words.shown(error)
            self.errors[shown_error] += row_count

    def _answer_columns(
        self, landed_rows: pa.Table, status: pa.Array
    ) -> list[pa.Array]:
        """Return the answer's columns; null in rows that are not answered."""
        is_answered = pc.equal(status, str(Status.ANSWERED))
        answer = _column(landed_rows, "answer")
        columns = [answer]
        if pa.types.is_struct(answer.type):
            columns = answer.flatten()
        answer_columns: list[pa.Array] = []
        for column in columns:
            no_answer = pa.scalar(None, column.type)
            answer_column = pc.if_else(is_answered, column, no_answer)
            answer_columns.append(answer_column)
        return answer_columns

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
        """Assign each request's cost to the first row that has it; the other rows of the request cost nothing."""
        answers = self.answers
        is_first = self._first_uses(positions)
        first_positions = positions[is_first]
        paid = np.zeros(len(positions), dtype=np.int64)
        paid[is_first] = answers.paid[first_positions]
        cost = paid / PICOS_PER_USD
        is_unknown = np.zeros(len(positions), dtype=bool)
        is_unknown[is_first] = answers.unpriced[first_positions]
        return pa.array(cost, pa.float64(), mask=is_unknown)

    def _first_uses(self, positions: np.ndarray) -> np.ndarray:
        """Return which rows are the first of the partition to have their request, and count the rows of requests."""
        rows_with_request = np.flatnonzero(positions >= 0)
        request_positions = positions[rows_with_request]
        requests, first_places = np.unique(request_positions, return_index=True)
        used_in_part = self.row_counts[requests] > 0
        used_before = self.is_used[requests]
        is_new = ~used_in_part & ~used_before
        new_places = first_places[is_new]
        first_rows = rows_with_request[new_places]
        is_first = np.zeros(len(positions), dtype=bool)
        is_first[first_rows] = True
        request_count = len(self.row_counts)
        new_counts = np.bincount(request_positions, minlength=request_count)
        self.row_counts += new_counts
        return is_first


def _input_tokens(landed_rows: pa.Table) -> pa.Array:
    """Add up plain and cached input tokens; null where nothing was used."""
    total = _column(landed_rows, "input")
    for token_class in ("cache_write_5m", "cache_write_1h", "cache_read"):
        total = pc.add(total, _filled(landed_rows, token_class))
    return total


def _filled(table: pa.Table, name: str) -> pa.Array:
    """Return a column of counts, with 0 for null."""
    return pc.fill_null(_column(table, name), 0)


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
