"""Read the landed rows that a run publishes, a part of the rows at a time, and what was paid for them.

Memory grows with the partition only by a few bytes per request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

import numpy as np
import pyarrow as pa

from nightbatch.columnar import parquet
from nightbatch.columnar.id_rounds import IdRound, Repeats
from nightbatch.columnar.threads import read_ahead
from nightbatch.ids import Shard
from nightbatch.land.landed_schema import REPEATING, published_schema
from nightbatch.ledger import keys
from nightbatch.ledger.facts import LandedFact
from nightbatch.ledger.ledger import Ledger
from nightbatch.prepare.staged import StagedRequests
from nightbatch.publish.published_part import PublishedPart, PublishedSums
from nightbatch.publish.winners import (
    PICOS_PER_USD,
    ExtraCosts,
    PartAnswers,
    Winners,
    cost_at_places,
    picos,
    read_rows,
)
from nightbatch.spec.run import Run


@dataclass
class Publication:
    """The facts that a publication is computed from. Requests are identified by number, repeats by that of the first.

    usable_shards: shards whose rows may be published. staged: the run's requests. winners: the rows that are published.
    """

    run: Run
    ledger: Ledger
    usable_shards: list[Shard]
    partition_facts: dict[Shard, LandedFact]
    """All shards that were bought for this partition, by any run."""
    run_shards: set[Shard]
    """The ones that this run has bought."""
    staged: StagedRequests
    winners: Winners
    has_unpublished_row: np.ndarray
    """Requests for which this run has bought a row that is not the published one."""
    is_used: np.ndarray
    """Requests that a row of the parts so far has."""
    extra_costs: ExtraCosts = field(default_factory=ExtraCosts)
    repeats: list[Repeats] = field(default_factory=list)
    """Requests that an earlier part has too, and their numbers there."""
    sums: PublishedSums = field(default_factory=PublishedSums)

    @property
    def facts(self) -> list[LandedFact]:
        """The landed shards that this run has bought."""
        return [
            fact
            for shard, fact in self.partition_facts.items()
            if shard in self.run_shards
        ]

    @property
    def name(self) -> str:
        """A name for the partition's content, from the snapshot and all shards that it may use: 12 hex digits."""
        shards = sorted({*self.usable_shards, *self.partition_facts})
        content = " ".join([self.run.snapshot, *shards])
        digest = hashlib.sha256(content.encode()).hexdigest()
        return digest[:12]

    def add_entries(self, id_round: IdRound, entries: Iterator[pa.Table]) -> None:
        """Add the landed rows of the requests of a round."""
        self.winners.add(id_round, read_ahead(entries))
        self.repeats.append(id_round.repeats)

    def partly_published(self) -> list[Shard]:
        """List the shards of `partition_facts` with rows that are not published. Needs all entries of `winners`."""
        published_counts = self.winners.counts()
        shards: list[Shard] = []
        for shard, fact in self.partition_facts.items():
            row_count = sum(fact.statuses.values())
            if published_counts[int(shard)] != row_count:
                shards.append(shard)
        return shards

    def find_extra_costs(self) -> None:
        """Find what was paid for rows that are not published. Needs all entries."""
        shards = self.partly_published()
        if not shards:
            return
        for _, id_round in self.staged.rounds():
            self.add_extra_costs(id_round, shards)

    def add_extra_costs(self, id_round: IdRound, shards: Iterable[Shard]) -> None:
        """Add the costs of these shards' rows that are not published, for the requests of a round."""
        for shard in shards:
            landed_costs = self._landed_columns(shard, ["id", "cost_usd"])
            rows, numbers = id_round.look_up(landed_costs.column("id"))
            published_shards, published_rows = self.winners.rows_of(numbers)
            is_other_shard = published_shards != int(shard)
            is_extra = is_other_shard | (published_rows != rows)
            extra_numbers = numbers[is_extra]
            if shard in self.run_shards:
                self.has_unpublished_row[extra_numbers] = True
            extra_rows = pa.array(rows[is_extra])
            extra_costs = landed_costs.column("cost_usd").take(extra_rows)
            self.extra_costs.add(extra_numbers, extra_costs)

    def parts(self) -> Iterator[PublishedPart]:
        """Read the answers to all rows, part by part."""
        for number in range(self.run.parts):
            yield self._part(number)

    def used_before(self, part: PublishedPart) -> np.ndarray:
        """Tell which requests of a part earlier rows have."""
        is_used: np.ndarray = self.is_used[part.first_numbers]
        return is_used

    def add_to_sums(self, part: PublishedPart, row_counts: np.ndarray) -> None:
        """Add a part to the sums. `row_counts`: how many rows have each of its requests."""
        used_before = self.used_before(part)
        self.sums.add(part, used_before, row_counts)
        used_numbers = part.first_numbers[row_counts > 0]
        self.is_used[used_numbers] = True

    def other_cost(self) -> int:
        """Sum what was paid for this partition and no row carries, in 10^-12 USD. Needs the sums of all parts.

        It is the cost of requests that no row has any more, because rows, prompt or model have changed.
        """
        return self._paid() - self.sums.row_cost

    def _part(self, number: int) -> PublishedPart:
        numbers = self._numbers(number)
        first_numbers = self._first_numbers(numbers)
        shards, landed_rows = self.winners.rows_of(first_numbers)
        rows, places = self._rows(shards, landed_rows)
        cost, unknown = cost_at_places(rows.column("cost_usd"), places)
        is_first = first_numbers == _number_array(numbers)
        is_for_partition = _is_among(shards, self.partition_facts)
        extra_paid, extra_unpriced = self.extra_costs.within(numbers)
        paid = extra_paid + np.where(is_for_partition, cost, 0)
        unpriced = extra_unpriced | (is_for_partition & unknown)
        answers = PartAnswers(
            ids=self.staged.ids(number),
            rows=rows,
            places=places,
            cost=cost,
            unknown=unknown,
            paid=np.where(is_first, paid, 0),
            unpriced=unpriced & is_first,
        )
        has_unpublished_row = self.has_unpublished_row[first_numbers]
        is_bought = _is_among(shards, self.run_shards) | has_unpublished_row
        return PublishedPart(number, first_numbers, answers, is_bought, is_first)

    def _numbers(self, part: int) -> range:
        """Return the numbers of the requests of a part."""
        start, stop = self.staged.starts[part : part + 2].tolist()
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

        def rows_of(shard: int, shard_rows: np.ndarray) -> tuple[pa.Table, np.ndarray]:
            landed_key = keys.landed(keys.shard(shard))
            table, table_places = groups.rows(landed_key, shard_rows)
            return table.select(schema.names).cast(schema), table_places

        tables, places = read_rows(shards, rows, rows_of)
        if not tables:
            return schema.empty_table(), places
        return pa.concat_tables(tables).combine_chunks(), places

    def _paid(self) -> int:
        """Sum what was paid for this partition, including requests that no row has any more."""
        shard_costs = [
            self._paid_for(shard, fact) for shard, fact in self.partition_facts.items()
        ]
        return sum(shard_costs)

    def _paid_for(self, shard: Shard, fact: LandedFact) -> int:
        """Read the cost of a shard from its fact, or from its rows if some of them have no price."""
        if fact.cost_usd is not None:
            cost_usd = Decimal(fact.cost_usd)
            return int(cost_usd * PICOS_PER_USD)
        return self._cost_of_rows(shard)

    def _cost_of_rows(self, shard: Shard) -> int:
        landed_costs = self._landed_columns(shard, ["cost_usd"])
        row_costs = picos(landed_costs.column("cost_usd"))
        return int(row_costs.sum())

    def _landed_columns(self, shard: Shard, names: list[str]) -> pa.Table:
        return parquet.table(self.ledger.store, keys.landed(shard), names)


def _is_among(shards: np.ndarray, members: Iterable[Shard]) -> np.ndarray:
    """Tell which of these shard numbers are those of the members."""
    member_numbers = [int(shard) for shard in members]
    return np.isin(shards, member_numbers)


def _number_array(numbers: range) -> np.ndarray:
    return np.arange(numbers.start, numbers.stop, dtype=np.int32)
