"""Turn the results of one shard into Arrow rows, one for each request, and count lines that do not match.

A stream that does not match the batch's counts is read again, and rows read before are kept: each reading can only
add rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.ids import BatchId
from nightbatch.land.columns import Columns, columns
from nightbatch.land.judge import Verdict, verdict
from nightbatch.land.landed_schema import COST, landed_schema
from nightbatch.land.plain import Pick, Plain, pick, plain_answers
from nightbatch.land.received import Received
from nightbatch.land.scan import scan
from nightbatch.messages import safe_words
from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.outcome import Status
from nightbatch.messages.result_lines import ResultLine, decode
from nightbatch.money.billing.bill import BilledUsage
from nightbatch.money.billing.charge import Used, charged, decimals, is_absurd
from nightbatch.money.prices import Prices

MOST_ERRORS = 200
DecodedLines = Sequence[ResultLine | None]
"""None: a line that is not a result line."""


@dataclass
class Landing:
    """Collects the results of a shard and reports what is missing or does not match."""

    answer: AnswerType
    batch: BatchId
    prices: Prices
    received: Received
    asked_model: str = ""
    kinds: Counter[str] = field(default_factory=Counter)
    statuses: Counter[Status] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    """Lines of the last reading: garbled, unknown, repeated, differing (repeated with other content), untallied."""
    account: str | None = None
    bill: BilledUsage = field(init=False)
    schema: pa.Schema = field(init=False)

    def __post_init__(self) -> None:
        self.bill = BilledUsage(self.prices)
        self.schema = landed_schema(self.answer)

    @property
    def missing_count(self) -> int:
        """How many requests have no result yet."""
        return len(self.received) - self.received.count

    def begin(self) -> None:
        """Begin to read the stream, for the first time or again."""
        self.odd.clear()
        self.received.begin()

    def add(self, block: bytes) -> pa.RecordBatch:
        """Turn a block of whole lines into landed rows, one for each request that had no result before."""
        return self.take(self.read(block))

    def read(self, block: bytes) -> Pick:
        """Do the part that seldom holds Python's lock and needs no earlier block: it can run in another thread."""
        return pick(scan(block), self.answer)

    def take(self, picked: Pick) -> pa.RecordBatch:
        """Turn a block that has been read into landed rows: plain answers as columns, all other lines one by one."""
        answers = plain_answers(picked, self.answer)
        if answers is None:
            return self._judged(decode(picked.block))
        other_lines = decode(answers.rest)
        plain_places = self.received.places(answers.custom_ids)
        if self._any_named(other_lines, plain_places):
            # A request has two lines, and the first one counts: judge all in order.
            return self._judged(decode(picked.block))
        plain_rows = self._plain(answers, plain_places)
        if not other_lines:
            return plain_rows
        return pa.concat_batches([plain_rows, self._judged(other_lines)])

    def _any_named(self, lines: DecodedLines, places: np.ndarray) -> bool:
        """Check whether any of these lines names a request at one of these positions."""
        line_places = self._places(_readable(lines))
        known_places = line_places[line_places >= 0]
        is_named = np.isin(known_places, places)
        return bool(is_named.any())

    def _places(self, lines: Sequence[ResultLine]) -> np.ndarray:
        """Find the position of each line's request."""
        custom_ids = [line.custom_id for line in lines]
        return self.received.places(custom_ids)

    def gap(self, counts: Mapping[str, int]) -> str | None:
        """Describe which results have not been read, next to the batch's own counts; None if all have been read.

        If all have been read but the kinds differ from the counts, the lines are kept and counted as untallied.
        """
        reported_counts = {
            safe_words.name(kind): count
            for kind, count in counts.items()
            if count and kind != "processing"
        }
        if not self.missing_count:
            untallied_kinds = Counter(reported_counts) - self.kinds
            self._count(untallied=untallied_kinds.total())
            return None
        request_count = len(self.received)
        progress = f"{self.received.count} of {request_count} results were read"
        line_counts = {safe_words.name(kind): n for kind, n in self.kinds.items()}
        lines_read = f"lines: {line_counts}, reported: {reported_counts}"
        odd_lines = self._odd_lines()
        return f"{progress}; {lines_read}, {odd_lines}"

    def _odd_lines(self) -> str:
        odd_counts = [f"{count} {kind}" for kind, count in sorted(self.odd.items())]
        return ", ".join(odd_counts) or "none odd"

    def missing(self, why: str) -> pa.RecordBatch:
        """Make a `missing` row for each request without a result."""
        missing_ids = self.received.missing_ids()
        verdicts = [Verdict(Status.MISSING, error=why) for _ in range(len(missing_ids))]
        return self.rows(missing_ids, verdicts)

    def rows(self, ids: pa.Array, verdicts: Sequence[Verdict]) -> pa.RecordBatch:
        """Build rows from verdicts, and count their statuses and errors."""
        verdict_columns = columns(verdicts, self.answer)
        self._count_verdicts(verdicts)
        return self._batch(ids, verdict_columns)

    def _count_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        for row_verdict in verdicts:
            self.statuses[row_verdict.status] += 1
            if row_verdict.error:
                self._count_error(row_verdict.error, account=row_verdict.account)

    def _count_error(self, error: str, *, account: bool) -> None:
        """Count an error without its words; keep the first one that is the account's fault."""
        shown_error = safe_words.shown(error)
        if account:
            self.account = self.account or shown_error
        if not shown_error:
            return
        errors = self.errors
        has_room = len(errors) < MOST_ERRORS
        if has_room or shown_error in errors:
            errors[shown_error] += 1

    def _plain(self, answers: Plain, places: np.ndarray) -> pa.RecordBatch:
        text_hashes = answers.text_hashes

        def content_hash(line_number: int) -> int:
            return int(text_hashes[line_number])

        new_lines, new_places = self._first_lines(places, content_hash)
        new_hashes = text_hashes[new_lines]
        self.received.record(new_places, new_hashes)
        new_count = len(new_lines)
        if new_count:
            self.kinds["succeeded"] += new_count
            self.statuses[Status.ANSWERED] += new_count
        new_columns = answers.columns.take(new_lines)
        return self._batch(self._ids(new_places), new_columns)

    def _judged(self, decoded: DecodedLines) -> pa.RecordBatch:
        lines = _readable(decoded)
        garbled_count = len(decoded) - len(lines)
        self._count(garbled=garbled_count)

        def content_hash(line_number: int) -> int:
            line = lines[line_number]
            return self._verdict(line).content_hash

        places = self._places(lines)
        new_numbers, new_places = self._first_lines(places, content_hash)
        new_lines = [lines[number] for number in new_numbers.tolist()]
        verdicts = [self._verdict(line) for line in new_lines]
        content_hashes = [row_verdict.content_hash for row_verdict in verdicts]
        self.received.record(new_places, np.array(content_hashes, dtype=np.int64))
        self.kinds.update(line.result.type for line in new_lines)
        new_ids = self._ids(new_places)
        return self.rows(new_ids, verdicts)

    def _verdict(self, line: ResultLine) -> Verdict:
        return verdict(line.result, self.answer)

    def _ids(self, places: np.ndarray) -> pa.Array:
        return self.received.ids.take(pa.array(places))

    def _first_lines(
        self, places: np.ndarray, hash_of: Callable[[int], int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the lines that are the first for their request, and its position; count lines that are odd.

        `places`: the position of each line's request. `hash_of`: the hash of a line's content.
        """
        is_unknown = places < 0
        self._count(unknown=int(is_unknown.sum()))
        new_lines, repeated_lines = self.received.first_and_repeated(places)
        new_places = places[new_lines]
        if not len(repeated_lines):
            return new_lines, new_places
        place_lines = zip(new_places.tolist(), new_lines.tolist(), strict=True)
        first_lines = dict(place_lines)
        for line in repeated_lines.tolist():
            place = int(places[line])
            first_hash = self.received.content_hash(place)
            if place in first_lines:
                first_hash = hash_of(first_lines[place])
            is_same = hash_of(line) == first_hash
            self.odd["repeated" if is_same else "differing"] += 1
        return new_lines, new_places

    def _batch(self, ids: pa.Array, landed: Columns) -> pa.RecordBatch:
        """Price rows and lay them out in the schema of a landed shard."""
        has_no_tokens = np.asarray(landed.tiers.is_null()) | is_absurd(landed.tokens)
        batch_id = pa.scalar(self.batch, pa.string())
        token_columns = [
            pa.array(counts, pa.int64(), mask=has_no_tokens)
            for counts in landed.tokens.T
        ]
        arrays = [
            ids,
            landed.statuses,
            landed.errors,
            landed.values,
            landed.texts,
            landed.models,
            landed.stops,
            pa.repeat(batch_id, len(landed)),
            *token_columns,
            landed.tiers,
            self._costs(landed),
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _costs(self, landed: Columns) -> pa.Array:
        models = self._priced_models(landed.models)
        used = Used(models, landed.tiers, landed.regions, landed.tokens, landed.tools)
        costs, is_unknown = charged(self.bill, used)
        return decimals(COST, costs, is_unknown)

    def _priced_models(self, models: pa.Array) -> pa.Array:
        """Return the model of each row by the API's word; the one that was asked where it does not say."""
        has_no_name = pc.equal(models, "")
        named_models = pc.if_else(has_no_name, None, models)
        return pc.fill_null(named_models, self.asked_model)

    def _count(self, **odd: int) -> None:
        self.odd.update({name: count for name, count in odd.items() if count})


def _readable(lines: DecodedLines) -> list[ResultLine]:
    return [line for line in lines if line is not None]
