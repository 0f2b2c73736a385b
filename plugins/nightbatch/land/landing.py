"""Landing: the results of one shard become Arrow rows, each request once, and what does not tally is told.

A stream that does not tally is read again, and what was read before stays: each reading can only add.
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
from nightbatch.land.judge import Landed, judge
from nightbatch.land.landed_schema import COST, landed_schema
from nightbatch.land.plain import Pick, Plain, pick, plain, scan
from nightbatch.land.received import Roll
from nightbatch.messages import safe_words
from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.outcome import Status
from nightbatch.messages.result_lines import Line, decode
from nightbatch.money.billing import Bill, Used, charged, decimals, is_absurd
from nightbatch.money.prices import Prices

MOST_ERRORS = 200


@dataclass
class Landing:
    """Gathers the results of a shard and says what does not tally."""

    answer: AnswerType
    batch: BatchId
    prices: Prices
    roll: Roll
    asked_model: str = ""
    kinds: Counter[str] = field(default_factory=Counter)
    statuses: Counter[Status] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)
    """Lines of the last reading: garbled, unknown, repeated, differing (repeated, but not alike), untallied."""
    account: str | None = None
    bill: Bill = field(init=False)
    schema: pa.Schema = field(init=False)

    def __post_init__(self) -> None:
        self.bill, self.schema = Bill(self.prices), landed_schema(self.answer)

    @property
    def missed(self) -> int:
        """How many requests no line has spoken of."""
        return len(self.roll) - self.roll.told

    def begin(self) -> None:
        """Begin to read the stream, for the first time or once more."""
        self.odd.clear()
        self.roll.begin()

    def add(self, block: bytes) -> pa.RecordBatch:
        """Turn a block of whole lines into landed rows, one for each request that no line spoke of before."""
        return self.take(self.read(block))

    def read(self, block: bytes) -> Pick:
        """Do what needs little of Python's lock and nothing of what was read before: fit for a thread beside."""
        return pick(scan(block), self.answer)

    def take(self, picked: Pick) -> pa.RecordBatch:
        """Do the same with a block that has been read: plain answers in columns, all other lines one by one."""
        easy = plain(picked, self.answer)
        rest = decode(easy.rest if easy else picked.block)
        if easy is None:
            return self._judged(rest)
        places = self.roll.places(easy.names)
        spoken = self.roll.places([line.custom_id for line in rest if line is not None])
        if np.isin(spoken[spoken >= 0], places).any():
            return self._judged(
                decode(picked.block)
            )  # of two that differ the first one counts
        rows = self._plain(easy, places)
        return pa.concat_batches([rows, self._judged(rest)]) if rest else rows

    def gap(self, counts: Mapping[str, int]) -> str | None:
        """Say what of the shard has not been read, and what the batch's own counts say; None: all of it has been.

        Where all has been read but the kinds differ from the counts, the lines stand, and are counted as untallied.
        """
        told = {
            safe_words.name(kind): count
            for kind, count in counts.items()
            if count and kind != "processing"
        }
        if not self.missed:
            self._count(untallied=(Counter(told) - self.kinds).total())
            return None
        odd = (
            ", ".join(f"{count} {name}" for name, count in sorted(self.odd.items()))
            or "none odd"
        )
        read = f"{self.roll.told} of {len(self.roll)} results were read"
        lines = {safe_words.name(kind): count for kind, count in self.kinds.items()}
        return f"{read}; lines: {lines}, told: {told}, {odd}"

    def missing(self, why: str) -> pa.RecordBatch:
        """Make a lost row of each request that no line spoke of."""
        ids = self.roll.silent()
        return self.rows(
            ids, [Landed(Status.MISSING, error=why) for _ in range(len(ids))]
        )

    def rows(self, ids: pa.Array, landed: Sequence[Landed]) -> pa.RecordBatch:
        """Build rows of what was judged one by one."""
        made = columns(landed, self.answer)
        for one in landed:
            self.statuses[one.status] += 1
            error = safe_words.shown(one.error) if one.error else None
            self.account = self.account or (error if one.account else None)
            if error and (error in self.errors or len(self.errors) < MOST_ERRORS):
                self.errors[error] += 1
        return self._batch(ids, made)

    def _plain(self, easy: Plain, named: np.ndarray) -> pa.RecordBatch:
        new, places = self._call(named, lambda line: int(easy.said[line]))
        self.roll.note(places, easy.said[new])
        if len(new):
            self.kinds["succeeded"] += len(new)
            self.statuses[Status.ANSWERED] += len(new)
        return self._batch(self.roll.ids.take(pa.array(places)), easy.columns.take(new))

    def _judged(self, decoded: Sequence[Line | None]) -> pa.RecordBatch:
        lines = [line for line in decoded if line is not None]
        self._count(garbled=len(decoded) - len(lines))
        named = self.roll.places([line.custom_id for line in lines])
        new, places = self._call(
            named, lambda at: judge(lines[at].result, self.answer).said
        )
        judged = [judge(lines[at].result, self.answer) for at in new.tolist()]
        self.roll.note(places, np.array([one.said for one in judged], dtype=np.int64))
        self.kinds.update(lines[at].result.type for at in new.tolist())
        return self.rows(self.roll.ids.take(pa.array(places)), judged)

    def _call(
        self, places: np.ndarray, said: Callable[[int], int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find which lines speak of a request for the first time, and its place; count those that are odd."""
        self._count(unknown=int((places < 0).sum()))
        new, again = self.roll.call(places)
        firsts = (
            dict(zip(places[new].tolist(), new.tolist(), strict=True))
            if len(again)
            else {}
        )
        for line in again.tolist():
            place = int(places[line])
            before = said(firsts[place]) if place in firsts else self.roll.said(place)
            self._count(**{"repeated" if said(line) == before else "differing": 1})
        return new, places[new]

    def _batch(self, ids: pa.Array, of: Columns) -> pa.RecordBatch:
        models = pc.fill_null(
            pc.if_else(pc.equal(of.models, ""), None, of.models), self.asked_model
        )
        cost, unknown = charged(
            self.prices,
            self.bill,
            Used(models, of.tiers, of.regions, of.tokens, of.tools),
        )
        unused = np.asarray(of.tiers.is_null()) | is_absurd(of.tokens)
        arrays = [
            ids,
            of.statuses,
            of.errors,
            of.values,
            of.texts,
            of.models,
            of.stops,
            pa.repeat(pa.scalar(self.batch, pa.string()), len(of)),
            *(pa.array(column, pa.int64(), mask=unused) for column in of.tokens.T),
            of.tiers,
            decimals(COST, cost, unknown),
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _count(self, **odd: int) -> None:
        self.odd.update({name: count for name, count in odd.items() if count})
