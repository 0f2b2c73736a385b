"""Find the landed rows that a run publishes, a span of ids at a time, and read them, a part of the rows at a time.

So memory grows with the partition only by a few bytes per request; and history is read once, whatever the number of
parts.
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
from nightbatch.columnar.id_rounds import IdRound, Repeats
from nightbatch.columnar.threads import ahead
from nightbatch.ids import Shard
from nightbatch.land.landed_schema import REPEATING, published_schema
from nightbatch.ledger import keys
from nightbatch.ledger.facts import LandedFact
from nightbatch.ledger.history import History, history
from nightbatch.ledger.ledger import Ledger
from nightbatch.prepare.staged import StagedRequests
from nightbatch.publish.winners import (
    MICRO,
    ExtraCosts,
    PartAnswers,
    Winners,
    gather,
    spread,
    whole,
)
from nightbatch.spec.locations import canonical
from nightbatch.spec.run import Run
from nightbatch.spec.run_ref import RunRef


@dataclass
class PublishedSums:
    """The sums over the parts; money in 10^-12 USD, None once something in it has no price."""

    requests: int = 0
    bought: int = 0
    reused: int = 0
    paid: int = 0
    reuse: int | None = 0
    duplicates: int | None = 0


@dataclass(frozen=True)
class PartWindow:
    """One part of a run's rows: the answers to its requests, which the run has bought, which no earlier part has.

    `same`: the number of each request, or of the request in an earlier part that it repeats.
    """

    part: int
    same: np.ndarray
    answers: PartAnswers
    bought: np.ndarray
    first: np.ndarray

    def add(self, sums: PublishedSums, used: np.ndarray, uses: np.ndarray) -> None:
        """Add this part to the sums. `used`: requests that earlier parts used; `uses`: rows of this part by request."""
        answers = self.answers
        is_bought = self.bought & self.first
        is_reused = ~self.bought & (answers.places >= 0) & self.first
        sums.requests += int(self.first.sum())
        sums.bought += int(is_bought.sum())
        sums.reused += int(is_reused.sum())
        reuse_counts = is_reused.astype(np.int64)
        sums.reuse = _plus(sums.reuse, answers, reuse_counts)
        other_uses = np.maximum(uses - 1, 0)
        duplicate_counts = np.where(used, uses, other_uses)
        sums.duplicates = _plus(sums.duplicates, answers, duplicate_counts)


@dataclass
class Publication:
    """The facts that a publication is computed from. Requests are identified by number, repeats by that of the first.

    usable: shards whose rows may be published. asked: the run's requests. speakers: the rows that are published.
    """

    run: Run
    ledger: Ledger
    usable: list[Shard]
    ours: dict[Shard, LandedFact]
    """All shards that were bought for this partition, by any run."""
    mine: set[Shard]
    """The ones that this run has bought."""
    asked: StagedRequests
    speakers: Winners
    unheard: np.ndarray
    """Requests for which this run has bought a row that is not the published one."""
    used: np.ndarray
    """Requests that a row of the parts so far has."""
    extras: ExtraCosts = field(default_factory=ExtraCosts)
    repeats: list[Repeats] = field(default_factory=list)
    """Requests that an earlier part has too, and their numbers there."""
    sums: PublishedSums = field(default_factory=PublishedSums)

    @property
    def facts(self) -> list[LandedFact]:
        """The landed shards that this run has bought."""
        return [fact for shard, fact in self.ours.items() if shard in self.mine]

    @property
    def name(self) -> str:
        """A name for the partition's content, from the snapshot and all shards that it may use: 12 hex digits."""
        shards = sorted({*self.usable, *self.ours})
        content = " ".join([self.run.snapshot, *shards])
        digest = hashlib.sha256(content.encode()).hexdigest()
        return digest[:12]

    def mute(self) -> list[Shard]:
        """List the shards of `ours` with rows that are not published. Needs all entries of `speakers`."""
        published_counts = self.speakers.counts()
        shards: list[Shard] = []
        for shard, fact in self.ours.items():
            row_count = sum(fact.statuses.values())
            if published_counts[int(shard)] != row_count:
                shards.append(shard)
        return shards

    def take(self, id_round: IdRound, shards: Iterable[Shard]) -> None:
        """Add the costs of these shards' rows that are not published, for the requests of a round."""
        for shard in shards:
            landed_costs = self._landed_columns(shard, ["id", "cost_usd"])
            rows, numbers = id_round.look_up(landed_costs.column("id"))
            published_shards, published_rows = self.speakers.of(numbers)
            is_extra = (published_shards != int(shard)) | (published_rows != rows)
            extra_numbers = numbers[is_extra]
            if shard in self.mine:
                self.unheard[extra_numbers] = True
            extra_rows = pa.array(rows[is_extra])
            extra_costs = landed_costs.column("cost_usd").take(extra_rows)
            self.extras.add(extra_numbers, extra_costs)

    def windows(self) -> Iterator[PartWindow]:
        """Read the answers to all rows, part by part."""
        part_count = self.run.parts
        for part in range(part_count):
            window = self._window(part)
            answers = window.answers
            self.sums.paid += int(answers.paid.sum())
            is_last = part + 1 == part_count
            left_over = self._paid() - self.sums.paid if is_last else 0
            answers = replace(answers, left_over=left_over)
            yield replace(window, answers=answers)

    def close(self, window: PartWindow, uses: np.ndarray) -> None:
        """Add a window to the sums. `uses`: how many rows have each of its requests."""
        used_before = self.used[window.same]
        window.add(self.sums, used_before, uses)
        used_numbers = window.same[uses > 0]
        self.used[used_numbers] = True

    def _window(self, part: int) -> PartWindow:
        numbers = self._numbers(part)
        same = self._first_numbers(numbers)
        shards, landed_rows = self.speakers.of(same)
        rows, places = self._rows(shards, landed_rows)
        cost, unknown = spread(rows.column("cost_usd"), places)
        is_ours = np.isin(shards, [int(shard) for shard in self.ours])
        is_first = same == _number_array(numbers)
        extra_cost, extra_unpriced = self.extras.within(numbers)
        paid = extra_cost + np.where(is_ours, cost, 0)
        unpriced = extra_unpriced | (is_ours & unknown)
        paid[~is_first] = 0
        unpriced[~is_first] = False
        answers = PartAnswers(
            ids=self.asked.ids(part),
            rows=rows,
            places=places,
            cost=cost,
            unknown=unknown,
            paid=paid,
            unpriced=unpriced,
        )
        is_mine = np.isin(shards, [int(shard) for shard in self.mine])
        is_bought = is_mine | self.unheard[same]
        return PartWindow(part, same, answers, is_bought, is_first)

    def _numbers(self, part: int) -> range:
        start, stop = self.asked.starts[part : part + 2].tolist()
        return range(start, stop)

    def _first_numbers(self, numbers: range) -> np.ndarray:
        """Return the number of each request, or of the request in an earlier part that it repeats."""
        start = numbers.start
        stop = numbers.stop
        first_numbers = _number_array(numbers)
        for repeats in self.repeats:
            in_part = (repeats.again >= start) & (repeats.again < stop)
            repeat_places = repeats.again[in_part] - start
            first_numbers[repeat_places] = repeats.first[in_part]
        return first_numbers

    @cached_property
    def _published(self) -> tuple[pa.Schema, parquet.RowGroups]:
        schema = published_schema(self.run.answer)
        groups = parquet.RowGroups(self.ledger.store, schema.names, REPEATING)
        return schema, groups

    def _rows(
        self, shards: np.ndarray, rows: np.ndarray
    ) -> tuple[pa.Table, np.ndarray]:
        """Read the published columns of landed rows; return them and the place of each request's row, -1 for none."""
        schema, groups = self._published

        def rows_of(shard: int, wanted: np.ndarray) -> tuple[pa.Table, np.ndarray]:
            landed_key = keys.landed(keys.shard(shard))
            table, table_places = groups.rows(landed_key, wanted)
            return table.select(schema.names).cast(schema), table_places

        tables, places = gather(shards, rows, rows_of)
        if not tables:
            return schema.empty_table(), places
        return pa.concat_tables(tables).combine_chunks(), places

    def _paid(self) -> int:
        """Sum what was paid for this partition, including requests that no row has any more."""
        return sum(self._paid_for(shard, fact) for shard, fact in self.ours.items())

    def _paid_for(self, shard: Shard, fact: LandedFact) -> int:
        """Read the cost of a shard from its fact, or from its rows if some of them have no price."""
        if fact.cost_usd is not None:
            return int(Decimal(fact.cost_usd) * MICRO)
        costs = self._landed_columns(shard, ["cost_usd"]).column("cost_usd")
        return int(whole(costs).sum())

    def _landed_columns(self, shard: Shard, names: list[str]) -> pa.Table:
        return parquet.table(self.ledger.store, keys.landed(shard), names)


def publication(ref: RunRef, run: Run, ledger: Ledger) -> Publication:
    """Find the facts that a run's publication is computed from."""
    past = history(ledger.store, ledger.view().landed)
    usable: list[Shard] = []
    ours: dict[Shard, LandedFact] = {}
    own_output = (canonical(run.target), run.partition)
    for shard, origin in past.shards.items():
        if not ref.scope or origin.scope == ref.scope:
            usable.append(shard)
        output = (canonical(origin.target), origin.partition)
        fact = ledger.landed(shard) if output == own_output else None
        if fact is not None:
            ours[shard] = fact
    mine = {shard for shard, fact in ours.items() if fact.claim.buyer == ref.buyer}
    asked = StagedRequests(run, ledger.store)
    request_count = len(asked)
    run_publication = Publication(
        run=run,
        ledger=ledger,
        usable=usable,
        ours=ours,
        mine=mine,
        asked=asked,
        speakers=Winners(request_count),
        unheard=np.zeros(request_count, dtype=bool),
        used=np.zeros(request_count, dtype=bool),
    )
    _find_rows(run_publication, past)
    return run_publication


def _find_rows(run_publication: Publication, past: History) -> None:
    """Find the row to publish for each request, and what was paid for other rows."""
    asked = run_publication.asked
    for span, id_round in asked.rounds():
        entries = past.entries(run_publication.usable, span)
        run_publication.speakers.hear(id_round, ahead(entries))
        run_publication.repeats.append(id_round.repeats)
    partly_published = run_publication.mute()
    if not partly_published:
        return
    for _, id_round in asked.rounds():
        run_publication.take(id_round, partly_published)


def _number_array(numbers: range) -> np.ndarray:
    return np.arange(numbers.start, numbers.stop, dtype=np.int32)


def _plus(
    total: int | None, answers: PartAnswers, row_counts: np.ndarray
) -> int | None:
    """Add the cost of requests, each for N rows, to a total; None once a cost is unknown."""
    if total is None:
        return None
    is_unknown = answers.unknown[row_counts > 0]
    if is_unknown.any():
        return None
    row_costs = answers.cost * row_counts
    return total + int(row_costs.sum())
