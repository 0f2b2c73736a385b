"""What has landed, by id: read from the indexes where they are, from the landed shards' own files where not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar import parquet
from nightbatch.columnar.id_lookup import ALL, Ids, Span
from nightbatch.errors import Absent
from nightbatch.ids import Shard
from nightbatch.ledger import index, keys
from nightbatch.ledger.facts import METADATA, LandedFact
from nightbatch.ledger.index import Whose
from nightbatch.ports import Store

BATCH_ROWS = 262_144


@dataclass(frozen=True)
class Volume:
    """A file that tells the ids of some landed shards: one shard's own, or an index that covers `covered` shards."""

    key: str
    shards: dict[Shard, Whose]
    covered: int = 0

    @property
    def is_index(self) -> bool:
        """Whether it is an index."""
        return self.covered > 0


@dataclass(frozen=True)
class History:
    """All landed shards of a view, each in one volume."""

    store: Store
    volumes: list[Volume]

    @cached_property
    def shards(self) -> dict[Shard, Whose]:
        """Tell for whom each landed shard was bought, oldest first."""
        return dict(
            sorted(
                (shard, of)
                for volume in self.volumes
                for shard, of in volume.shards.items()
            )
        )

    def settled(self, wanted: Collection[Shard], span: Span = ALL) -> Iterator[Ids]:
        """Read the ids that were settled in the wanted shards: all that are in the span, and maybe others."""
        for entries in self.entries(wanted, span):
            final = entries.column("settled")
            yield (
                entries.column("id")
                if pc.all(final).as_py()
                else entries.filter(final).column("id")
            )

    def entries(
        self, wanted: Collection[Shard], span: Span = ALL
    ) -> Iterator[pa.Table]:
        """Read `id`, `shard`, `row` and `settled` of what landed in wanted shards: all in the span, maybe more."""
        for volume in self.volumes:
            some = volume.shards.keys() & set(wanted)
            if some and volume.is_index:
                yield from self._indexed(
                    volume, None if len(some) == volume.covered else some, span
                )
            elif some:
                (shard,) = some
                yield index.entries(
                    shard, parquet.table(self.store, volume.key, ["id", "status"])
                )

    def _indexed(
        self, volume: Volume, some: Collection[Shard] | None, span: Span
    ) -> Iterator[pa.Table]:
        numbers = pa.array([int(shard) for shard in some or ()], pa.int32())
        for table in parquet.groups(self.store, volume.key, "id", span.meets):
            yield (
                table
                if some is None
                else table.filter(pc.is_in(table.column("shard"), value_set=numbers))
            )


def history(store: Store, landed: Sequence[Shard]) -> History:
    """Find the volumes of these landed shards: the indexes first, then the files of the shards that none covers."""
    left, volumes = set(landed), []
    for entry in store.list(keys.INDEX):
        covered = index.from_metadata(
            parquet.metadata(store, entry.key, index.METADATA) or b"[]"
        )
        mine = {shard: of for shard, of in covered.items() if shard in left}
        if mine:
            volumes.append(Volume(entry.key, mine, len(covered)))
            left -= mine.keys()
    found = ((shard, _whose(store, shard)) for shard in sorted(left))
    volumes += [
        Volume(keys.landed(shard), {shard: of}) for shard, of in found if of is not None
    ]
    return History(store, volumes)


def compact(
    store: Store, landed: Sequence[Shard], most_rows: int = 2_000_000
) -> list[str]:
    """Write indexes over the landed shards that none covers yet, about `most_rows` ids each; return their keys.

    An index is one file, created whole: a compaction that is cut short leaves what it has finished, and is begun again
    for the rest. Shards are never touched, and a shard that two indexes cover is read from the first.
    """
    made: list[str] = []
    group: list[pa.Table] = []
    covered: dict[Shard, Whose] = {}
    singles = [
        volume for volume in history(store, landed).volumes if not volume.is_index
    ]
    for number, volume in enumerate(singles, 1):
        ((shard, of),) = volume.shards.items()
        group.append(
            index.entries(shard, parquet.table(store, volume.key, ["id", "status"]))
        )
        covered[shard] = of
        if sum(table.num_rows for table in group) >= most_rows or number == len(
            singles
        ):
            made.append(_write(store, group, covered))
            group, covered = [], {}
    return made


def _write(store: Store, group: list[pa.Table], covered: dict[Shard, Whose]) -> str:
    shards = sorted(covered)
    key = keys.index(shards[0], shards[-1], index.name(shards))
    with parquet.Sheet(
        store, key, index.INDEX, parquet.Layout(plain=True, ordered="id")
    ) as sheet:
        table = index.merged(group)
        for start in range(0, table.num_rows, BATCH_ROWS):
            sheet.write(table.slice(start, BATCH_ROWS))
        sheet.close(index.to_metadata(covered))
        sheet.commit()
    return key


def _whose(store: Store, shard: Shard) -> Whose | None:
    try:
        return index.whose(
            LandedFact.from_json(parquet.metadata(store, keys.landed(shard), METADATA))
        )
    except Absent:
        return None
