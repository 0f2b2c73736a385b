"""Which landed rows speak for a run's requests: found a span of ids at a time, read a part of the rows at a time.

So memory does not grow with the partition but for some bytes of each request; and history is read once, whatever the
number of parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property

import numpy as np
import pyarrow as pa

from nightbatch.columnar import parquet
from nightbatch.columnar.id_rounds import Repeats, Round
from nightbatch.columnar.threads import ahead
from nightbatch.ids import Shard
from nightbatch.land.landed_schema import REPEATING, published_schema
from nightbatch.ledger import keys
from nightbatch.ledger.facts import LandedFact
from nightbatch.ledger.history import history
from nightbatch.ledger.ledger import Ledger
from nightbatch.prepare.staged import Asked
from nightbatch.publish.winners import (
    MICRO,
    Answers,
    Extras,
    Speakers,
    gather,
    spread,
    whole,
)
from nightbatch.spec.locations import canonical
from nightbatch.spec.run import Run
from nightbatch.spec.run_ref import RunRef


@dataclass
class Sums:
    """What the parts add up to; money in 10^-12 USD, None once something in it has no price."""

    requests: int = 0
    bought: int = 0
    reused: int = 0
    paid: int = 0
    reuse: int | None = 0
    duplicates: int | None = 0


@dataclass(frozen=True)
class Window:
    """One part of a run's rows: the answers to its requests, which the run has bought, which no earlier part asks.

    `same`: the number of each request, or of the one in an earlier part that it repeats.
    """

    part: int
    same: np.ndarray
    answers: Answers
    bought: np.ndarray
    first: np.ndarray

    def add(self, sums: Sums, used: np.ndarray, uses: np.ndarray) -> None:
        """Add this part, whose requests were used before it or not, and by so many of its rows."""
        reused = ~self.bought & (self.answers.places >= 0) & self.first
        sums.requests += int(self.first.sum())
        sums.bought += int((self.bought & self.first).sum())
        sums.reused += int(reused.sum())
        cost, unknown = self.answers.cost, self.answers.unknown
        repeated = np.where(used, uses, np.maximum(uses - 1, 0))
        sums.reuse = _plus(sums.reuse, cost, unknown, reused.astype(np.int64))
        sums.duplicates = _plus(sums.duplicates, cost, unknown, repeated)


@dataclass
class Evidence:
    """The facts that a publication rests on. Requests are known by number; one that repeats another is it."""

    run: Run
    ledger: Ledger
    usable: list[Shard]
    ours: dict[Shard, LandedFact]
    """All shards that were bought for this partition, by whatever run."""
    mine: set[Shard]
    """Those of them that this run has bought."""
    asked: Asked
    speakers: Speakers
    unheard: np.ndarray
    """For which requests rows that this run has bought do not speak."""
    used: np.ndarray
    """Which requests a row has asked already, of the rows gone through."""
    extras: Extras = field(default_factory=Extras)
    repeats: list[Repeats] = field(default_factory=list)
    """Requests that stood in an earlier part, and where."""
    sums: Sums = field(default_factory=Sums)

    @property
    def facts(self) -> list[LandedFact]:
        """What this run has bought."""
        return [fact for shard, fact in self.ours.items() if shard in self.mine]

    @property
    def name(self) -> str:
        """Name what is published by the snapshot and the shards that may speak or be paid: 12 hex digits."""
        shards = sorted({*self.usable, *self.ours})
        return hashlib.sha256(
            " ".join([self.run.snapshot, *shards]).encode()
        ).hexdigest()[:12]

    def mute(self) -> list[Shard]:
        """Name the shards of ours of which some rows do not speak. All speakers are heard by then."""
        counts = self.speakers.counts()
        return [
            shard
            for shard, fact in self.ours.items()
            if counts[int(shard)] != sum(fact.statuses.values())
        ]

    def take(self, some: Round, shards: Iterable[Shard]) -> None:
        """Take in what shards of ours say of some requests."""
        for shard in shards:
            bill = parquet.table(
                self.ledger.store, keys.landed(shard), ["id", "cost_usd"]
            )
            rows, numbers = some.look_up(bill.column("id"))
            by, row = self.speakers.of(numbers)
            besides = (by != int(shard)) | (row != rows)
            if shard in self.mine:
                self.unheard[numbers[besides]] = True
            self.extras.add(
                numbers[besides], bill.column("cost_usd").take(pa.array(rows[besides]))
            )

    def windows(self) -> Iterator[Window]:
        """Read the answers to all rows, part by part."""
        for part in range(self.run.parts):
            window = self._window(part)
            self.sums.paid += int(window.answers.paid.sum())
            left_over = (
                self._paid() - self.sums.paid if part + 1 == self.run.parts else 0
            )
            yield replace(window, answers=replace(window.answers, left_over=left_over))

    def close(self, window: Window, uses: np.ndarray) -> None:
        """Add up a window whose requests so many rows have asked."""
        window.add(self.sums, self.used[window.same], uses)
        self.used[window.same[uses > 0]] = True

    def _window(self, part: int) -> Window:
        own = np.arange(*self.asked.starts[part : part + 2].tolist(), dtype=np.int32)
        same = own.copy()
        for again, first in self.repeats:
            here = (again >= self.asked.starts[part]) & (
                again < self.asked.starts[part + 1]
            )
            same[again[here] - self.asked.starts[part]] = first[here]
        shards, places = self.speakers.of(same)
        rows, places = self._rows(shards, places)
        cost, unknown = spread(rows.column("cost_usd"), places)
        ours = np.isin(shards, [int(shard) for shard in self.ours])
        paid, unpriced = self.extras.within(
            range(*self.asked.starts[part : part + 2].tolist())
        )
        paid, unpriced = paid + np.where(ours, cost, 0), unpriced | (ours & unknown)
        paid[same != own], unpriced[same != own] = 0, False
        answers = Answers(
            self.asked.ids(part), rows, places, cost, unknown, paid, unpriced
        )
        bought = (
            np.isin(shards, [int(shard) for shard in self.mine]) | self.unheard[same]
        )
        return Window(part, same, answers, bought, same == own)

    @cached_property
    def _published(self) -> tuple[pa.Schema, parquet.Groups]:
        schema = published_schema(self.run.answer)
        return schema, parquet.Groups(self.ledger.store, schema.names, REPEATING)

    def _rows(
        self, shards: np.ndarray, rows: np.ndarray
    ) -> tuple[pa.Table, np.ndarray]:
        """Read of the rows that speak what is published."""
        schema, groups = self._published

        def rows_of(shard: int, wanted: np.ndarray) -> tuple[pa.Table, np.ndarray]:
            table, at = groups.rows(keys.landed(keys.shard(shard)), wanted)
            return table.select(schema.names).cast(schema), at

        tables, places = gather(shards, rows, rows_of)
        return (
            pa.concat_tables(tables).combine_chunks()
            if tables
            else schema.empty_table()
        ), places

    def _paid(self) -> int:
        """Sum what was paid for this partition, whether it is still asked or not."""
        return sum(self._paid_for(shard, fact) for shard, fact in self.ours.items())

    def _paid_for(self, shard: Shard, fact: LandedFact) -> int:
        """Read from the fact what a shard has cost, or from its rows where some of them have no price."""
        if fact.cost_usd is not None:
            return int(Decimal(fact.cost_usd) * MICRO)
        return int(
            whole(
                parquet.table(
                    self.ledger.store, keys.landed(shard), ["cost_usd"]
                ).column("cost_usd")
            ).sum()
        )


def evidence(ref: RunRef, run: Run, ledger: Ledger) -> Evidence:
    """Find the facts that a run's publication rests on."""
    past = history(ledger.store, ledger.view().landed)
    usable, ours = [], {}
    place = canonical(run.target)
    for shard, of in past.shards.items():
        if not ref.scope or of.scope == ref.scope:
            usable.append(shard)
        is_ours = (canonical(of.target), of.partition) == (place, run.partition)
        if is_ours and (fact := ledger.landed(shard)) is not None:
            ours[shard] = fact
    mine = {shard for shard, fact in ours.items() if fact.claim.buyer == ref.buyer}
    asked = Asked(run, ledger.store)
    unheard, used = (np.zeros(len(asked), dtype=bool) for _ in range(2))
    made = Evidence(
        run, ledger, usable, ours, mine, asked, Speakers(len(asked)), unheard, used
    )
    for span, some in asked.rounds():
        made.speakers.hear(some, ahead(past.entries(usable, span)))
        made.repeats.append(some.repeats)
    if others := made.mute():
        for _, some in asked.rounds():
            made.take(some, others)
    return made


def _plus(
    total: int | None, cost: np.ndarray, unknown: np.ndarray, times: np.ndarray
) -> int | None:
    if total is None or unknown[times > 0].any():
        return None
    return total + int((cost * times).sum())
