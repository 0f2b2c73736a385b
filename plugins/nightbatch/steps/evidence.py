"""Which landed rows speak for a run's requests: found and read window by window, so that memory does not grow.

A window is some parts of the staged rows. History is read by id; of the shards whose rows speak, only the columns and
the row groups that are needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core import keys
from nightbatch.core.answers import Answers, charge, gather, speakers, whole
from nightbatch.core.facts import LandedFact, RunRef
from nightbatch.core.finder import Finder, Ids, doubles, heads, repeats, words
from nightbatch.core.ids import Shard
from nightbatch.core.landed import landed_schema
from nightbatch.core.run import Run
from nightbatch.core.staging import ID
from nightbatch.steps import sheets
from nightbatch.steps.history import History, history
from nightbatch.steps.ledger import Ledger

PARTS = 2
"""Parts of a window; each holds about 131,072 rows."""


@dataclass
class Sums:
    """What the windows add up to; money in 10^-12 USD, None once something in it has no price."""

    requests: int = 0
    bought: int = 0
    reused: int = 0
    paid: int = 0
    reuse: int | None = 0
    duplicates: int | None = 0


@dataclass(frozen=True)
class Window:
    """Some parts of a run's rows: the answers to them, which the run has bought, which no earlier window has asked."""

    parts: range
    answers: Answers
    bought: np.ndarray
    first: np.ndarray

    def add(self, sums: Sums, uses: np.ndarray) -> None:
        """Add this window, whose requests so many rows have used."""
        reused = ~self.bought & (self.answers.places >= 0) & self.first
        sums.requests += int(self.first.sum())
        sums.bought += int((self.bought & self.first).sum())
        sums.reused += int(reused.sum())
        cost, unknown = self.answers.prices()
        repeated = np.where(self.first, np.maximum(uses - 1, 0), uses)
        sums.reuse = _plus(sums.reuse, cost, unknown, reused.astype(np.int64))
        sums.duplicates = _plus(sums.duplicates, cost, unknown, repeated)


@dataclass
class Evidence:
    """The facts that a publication rests on."""

    run: Run
    ledger: Ledger
    past: History
    usable: list[Shard]
    ours: dict[Shard, LandedFact]
    """All shards that were bought for this partition, by whatever run."""
    mine: set[Shard]
    """Those of them that this run has bought."""
    shared: Finder
    """Requests that stand in more than one part."""
    sums: Sums = field(default_factory=Sums)

    @property
    def facts(self) -> list[LandedFact]:
        """What this run has bought."""
        return [fact for shard, fact in self.ours.items() if shard in self.mine]

    @property
    def name(self) -> str:
        """Name what is published by the snapshot and the shards that may speak or be paid: 12 hex digits."""
        shards = sorted({*self.usable, *self.ours})
        return hashlib.sha256(" ".join([self.run.snapshot, *shards]).encode()).hexdigest()[:12]

    def windows(self) -> Iterator[Window]:
        """Find the answers to all rows, window by window."""
        seen = np.zeros(len(self.shared.ids), dtype=bool)
        spans = self._spans()
        for start in range(0, self.run.parts, PARTS):
            parts = range(start, min(start + PARTS, self.run.parts))
            window = self._window(parts, [shard for shard in self.past.shards if _meets(spans.get(shard), parts)])
            rows, at = self.shared.find(window.answers.asked.ids)
            again, seen[at] = rows[seen[at]], True
            window.first[again] = False
            window.answers.paid[again], window.answers.unpriced[again] = 0, False
            self.sums.paid += int(window.answers.paid.sum())
            last = parts.stop == self.run.parts
            left_over = self._paid() - self.sums.paid if last else 0
            yield replace(window, answers=replace(window.answers, left_over=left_over))

    def _window(self, parts: range, near: list[Shard]) -> Window:
        store = self.ledger.store
        asked = Finder(_asked(self.run, self.ledger, parts))
        schema = pa.schema([one for one in landed_schema(self.run.answer) if one.name != "text"])
        speaking = speakers(asked, self.past.entries(set(self.usable) & set(near)))

        def ids_of(shard: int) -> pa.ChunkedArray:
            return sheets.table(store, keys.landed(keys.shard(shard)), ["id"]).column("id")

        def rows_of(shard: int, rows: np.ndarray) -> pa.Table:
            return (
                sheets.rows(store, keys.landed(keys.shard(shard)), schema.names, rows).select(schema.names).cast(schema)
            )

        table, places = gather(asked, speaking, ids_of, rows_of)
        bought = np.zeros(len(places), dtype=bool)

        def bills() -> Iterator[pa.Table]:
            for shard in (shard for shard in self.ours if shard in set(near)):
                bill = sheets.table(store, keys.landed(shard), ["id", "cost_usd"])
                if shard in self.mine:
                    bought[asked.find(bill.column("id"))[1]] = True
                yield bill

        paid, unpriced = charge(asked, bills())
        rows = schema.empty_table() if table is None else table
        return Window(parts, Answers(asked, rows, places, paid, unpriced), bought, np.ones(len(places), dtype=bool))

    def _paid(self) -> int:
        """Sum what was paid for this partition, whether it is still asked or not."""
        tables = (sheets.table(self.ledger.store, keys.landed(shard), ["cost_usd"]) for shard in self.ours)
        return sum(int(whole(table.column("cost_usd")).sum()) for table in tables)

    def _spans(self) -> dict[Shard, tuple[int, int]]:
        """Tell which parts a shard of this very snapshot can speak for: if none shares, those it was claimed from."""
        if len(self.shared.ids) > 0 or self.run.parts <= PARTS:
            return {}
        own = (shard for shard, fact in self.ours.items() if fact.claim.snapshot == self.run.snapshot)
        found = {shard: pc.min_max(self.ledger.claimed(shard).column("part")).as_py() for shard in own}
        return {shard: (span["min"], span["max"]) for shard, span in found.items()}


def evidence(ref: RunRef, run: Run, ledger: Ledger) -> Evidence:
    """Find the facts that a run's publication rests on."""
    past = history(ledger.store, ledger.view().landed)
    usable, ours = [], {}
    for shard, of in past.shards.items():
        if not ref.scope or of.scope == ref.scope:
            usable.append(shard)
        if (of.target, of.partition) == (run.target, run.partition) and (fact := ledger.landed(shard)) is not None:
            ours[shard] = fact
    mine = {shard for shard, fact in ours.items() if fact.claim.buyer == ref.buyer}
    return Evidence(run, ledger, past, usable, ours, mine, Finder(_shared(run, ledger)))


def _asked(run: Run, ledger: Ledger, parts: range) -> pa.Array:
    """Read the ids of some parts, each once."""
    tables = (sheets.table(ledger.store, keys.requests(run.snapshot, part), ["id"]) for part in parts)
    ids = pa.concat_arrays(chunk for table in tables for chunk in [pa.array([], ID), *table.column("id").chunks])
    kept = np.ones(len(ids), dtype=bool)
    kept[repeats(ids)] = False
    return ids if kept.all() else ids.filter(pa.array(kept))


def _shared(run: Run, ledger: Ledger) -> pa.Array:
    """Find the ids that stand in more than one part; in passing this takes 8 bytes a request."""
    none = pa.array([], ID)
    if run.parts <= PARTS:
        return none
    found, at = np.empty(run.requests, dtype=np.uint64), 0
    for ids in _parts(run, ledger):
        found[at : at + len(ids)] = heads(words(ids))
        at += len(ids)
    doubtful = doubles(found[:at])
    if not len(doubtful):
        return none
    some = (ids.filter(pa.array(np.isin(heads(words(ids)), doubtful))) for ids in _parts(run, ledger))
    counts = pc.value_counts(pa.concat_arrays(chunk for ids in some for chunk in ids.chunks))
    return counts.field("values").filter(pc.greater(counts.field("counts"), 1))


def _parts(run: Run, ledger: Ledger) -> Iterator[Ids]:
    return (sheets.table(ledger.store, key, ["id"]).column("id") for key in ledger.request_parts(run))


def _meets(span: tuple[int, int] | None, parts: range) -> bool:
    return span is None or (span[0] < parts.stop and span[1] >= parts.start)


def _plus(total: int | None, cost: np.ndarray, unknown: np.ndarray, times: np.ndarray) -> int | None:
    if total is None or unknown[times > 0].any():
        return None
    return total + int((cost * times).sum())
