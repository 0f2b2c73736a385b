"""What has landed, by id: read from indexes, and from the landed shards' own files where no index covers them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar import parquet
from nightbatch.columnar.id_lookup import ALL, IdRange, Ids
from nightbatch.errors import Absent
from nightbatch.ids import Shard
from nightbatch.ledger import keys
from nightbatch.ledger.facts import METADATA, LandedFact
from nightbatch.ledger.history import index
from nightbatch.ledger.history.index import BoughtFor
from nightbatch.ports import Store

BATCH_ROWS = 262_144


@dataclass(frozen=True)
class IdFile:
    """A file with the ids of some landed shards: one shard's own, or an index that covers `covered` shards."""

    key: str
    shards: dict[Shard, BoughtFor]
    covered: int = 0

    @property
    def is_index(self) -> bool:
        """Whether it is an index."""
        return self.covered > 0


@dataclass(frozen=True)
class History:
    """All landed shards of a view, each in an index or, where none covers it, in its own file."""

    store: Store
    indexes: list[IdFile]
    uncovered: list[Shard]
    _read: set[Shard] = field(default_factory=set)
    """Uncovered shards whose file was read: one that is gone later is an error, not a shard that has not landed."""

    @cached_property
    def id_files(self) -> list[IdFile]:
        """The indexes, then the files of the shards that none covers; for whom those were bought is read from each."""
        id_files = list(self.indexes)
        for shard in self.uncovered:
            bought_for = _bought_for(self.store, shard)
            if bought_for is not None:
                id_files.append(IdFile(keys.landed(shard), {shard: bought_for}))
        return id_files

    @cached_property
    def shards(self) -> dict[Shard, BoughtFor]:
        """Return for whom each landed shard was bought, oldest first."""
        all_shards: dict[Shard, BoughtFor] = {}
        for id_file in self.id_files:
            all_shards.update(id_file.shards)
        return dict(sorted(all_shards.items()))

    def settled(self, wanted: Collection[Shard], span: IdRange = ALL) -> Iterator[Ids]:
        """Read the ids that were settled in the wanted shards: all that are in the span, and maybe others."""
        return map(_settled_ids, self.entries(wanted, span))

    def all_settled(self, span: IdRange = ALL) -> Iterator[Ids]:
        """Read the ids that were settled in any shard, without reading for whom it was bought."""
        for index_file in self.indexes:
            covered_shards = index_file.shards.keys()
            for entries in self._from_index(index_file, covered_shards, span):
                yield _settled_ids(entries)
        for entries in self._uncovered_entries():
            yield _settled_ids(entries)

    def _uncovered_entries(self) -> Iterator[pa.Table]:
        for shard in self.uncovered:
            landed_key = keys.landed(shard)
            try:
                entries = _own_entries(self.store, shard, landed_key)
            except Absent:
                if shard in self._read:
                    raise
                continue
            self._read.add(shard)
            yield entries

    def entries(
        self, wanted: Collection[Shard], span: IdRange = ALL
    ) -> Iterator[pa.Table]:
        """Read `id`, `shard`, `row` and `settled` of what landed in wanted shards: all in the span, maybe more."""
        wanted_shards = set(wanted)
        for id_file in self.id_files:
            shards_to_read = id_file.shards.keys() & wanted_shards
            if not shards_to_read:
                continue
            if id_file.is_index:
                yield from self._from_index(id_file, shards_to_read, span)
            else:
                (shard,) = shards_to_read
                yield _own_entries(self.store, shard, id_file.key)

    def _from_index(
        self, id_file: IdFile, shards_to_read: Collection[Shard], span: IdRange
    ) -> Iterator[pa.Table]:
        row_groups = parquet.groups(self.store, id_file.key, "id", span.overlaps)
        if len(shards_to_read) == id_file.covered:
            yield from row_groups
            return
        shard_numbers = [int(shard) for shard in shards_to_read]
        wanted_numbers = pa.array(shard_numbers, pa.int32())
        for row_group in row_groups:
            group_numbers = row_group.column("shard")
            is_wanted = pc.is_in(group_numbers, value_set=wanted_numbers)
            yield row_group.filter(is_wanted)


def history(store: Store, landed: Sequence[Shard]) -> History:
    """Find the indexes over these landed shards, and the shards that none covers."""
    uncovered = set(landed)
    indexes: list[IdFile] = []
    for entry in store.list(keys.INDEX):
        covered = _covered_by(store, entry.key)
        newly_covered = {
            shard: bought_for
            for shard, bought_for in covered.items()
            if shard in uncovered
        }
        if newly_covered:
            indexes.append(IdFile(entry.key, newly_covered, len(covered)))
            uncovered -= newly_covered.keys()
    return History(store, indexes, sorted(uncovered))


def compact(
    store: Store, landed: Sequence[Shard], most_rows: int = 2_000_000
) -> list[str]:
    """Write indexes over the landed shards that none covers yet, about `most_rows` ids each; return their keys.

    An index is one file, created whole. An interrupted compaction leaves the indexes that it has finished, and the next
    one covers the rest. Shards are never touched, and a shard that two indexes cover is read from the first.
    """
    index_keys: list[str] = []
    entries: list[pa.Table] = []
    covered: dict[Shard, BoughtFor] = {}
    row_count = 0
    id_files = history(store, landed).id_files
    shard_files = [id_file for id_file in id_files if not id_file.is_index]
    for id_file in shard_files:
        ((shard, bought_for),) = id_file.shards.items()
        shard_entries = _own_entries(store, shard, id_file.key)
        entries.append(shard_entries)
        covered[shard] = bought_for
        row_count += shard_entries.num_rows
        is_last = id_file is shard_files[-1]
        if row_count >= most_rows or is_last:
            index_key = _write_index(store, entries, covered)
            index_keys.append(index_key)
            entries = []
            covered = {}
            row_count = 0
    return index_keys


def _write_index(
    store: Store, entries: list[pa.Table], covered: dict[Shard, BoughtFor]
) -> str:
    shards = sorted(covered)
    content_name = index.name(shards)
    index_key = keys.index(shards[0], shards[-1], content_name)
    index_metadata = index.to_metadata(covered)
    layout = parquet.GroupLayout(plain=True, ordered="id")
    with parquet.ParquetUpload(store, index_key, index.INDEX, layout) as upload:
        merged_entries = index.merged(entries)
        row_count = merged_entries.num_rows
        for start in range(0, row_count, BATCH_ROWS):
            rows = merged_entries.slice(start, BATCH_ROWS)
            upload.write(rows)
        upload.close(index_metadata)
        upload.commit()
    return index_key


def _own_entries(store: Store, shard: Shard, landed_key: str) -> pa.Table:
    """Read the entries of one shard from its own file."""
    landed_rows = parquet.table(store, landed_key, ["id", "status"])
    return index.entries(shard, landed_rows)


def _settled_ids(entries: pa.Table) -> Ids:
    ids = entries.column("id")
    is_settled = entries.column("settled")
    all_settled = pc.all(is_settled).as_py()
    return ids if all_settled else ids.filter(is_settled)


def _covered_by(store: Store, index_key: str) -> dict[Shard, BoughtFor]:
    """Read which shards an index covers; none where it has no metadata."""
    raw_metadata = parquet.metadata(store, index_key, index.METADATA)
    return index.from_metadata(raw_metadata or b"[]")


def _bought_for(store: Store, shard: Shard) -> BoughtFor | None:
    """Read for whom a shard was bought; None where it has not landed."""
    try:
        raw_fact = parquet.metadata(store, keys.landed(shard), METADATA)
    except Absent:
        return None
    landed_fact = LandedFact.from_json(raw_fact)
    return index.bought_for(landed_fact)
