"""Writes a snapshot: rows and requests in parts, each of two files, while the next rows are read and encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pyarrow as pa

from nightbatch.columnar import parquet
from nightbatch.columnar.threads import BackgroundCalls, map_in_thread, read_ahead
from nightbatch.failpoints import reach
from nightbatch.ids import Snapshot
from nightbatch.ledger import keys
from nightbatch.ports import Store
from nightbatch.prepare.encoding.encoded import Encoded
from nightbatch.prepare.encoding.numbering import RequestNumbers, Staged
from nightbatch.prepare.encoding.schemas import rows_schema
from nightbatch.prepare.encoding.stager import Stager
from nightbatch.prepare.source import BATCH_ROWS, Source, read
from nightbatch.prepare.unique_key import KeyCheck
from nightbatch.spec.enrichment import Enrichment

PART_ROWS = 65_536
PART_BYTES = 512 * 1024 * 1024
MEDIA_ROWS = 64

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class StagedCounts:
    """How much is staged."""

    parts: int
    rows: int
    requests: int

    def __add__(self, other: StagedCounts) -> StagedCounts:
        return StagedCounts(
            self.parts + other.parts,
            self.rows + other.rows,
            self.requests + other.requests,
        )


@dataclass(frozen=True)
class _PartWriter:
    """Writes the two files of a part, in the thread of `background`."""

    row_upload: parquet.ParquetUpload
    request_upload: parquet.ParquetUpload
    kept: Sequence[str]
    background: BackgroundCalls

    def write(self, rows: pa.RecordBatch, staged: Staged) -> None:
        """Write a batch of rows, and the requests that are new with them."""
        kept_columns = [rows.column(name) for name in self.kept]
        row_batch = pa.RecordBatch.from_arrays(
            [*kept_columns, staged.numbers, staged.problems],
            schema=self.row_upload.schema,
        )
        self.background.do(self.row_upload.write, row_batch)
        self.background.do(self.request_upload.write, staged.requests)

    def commit(self) -> None:
        """Publish the rows, then the requests."""
        for upload in (self.row_upload, self.request_upload):
            self.background.do(upload.close)
            self.background.do(upload.commit)
            self.background.do(reach, "part of the snapshot written")


@dataclass(frozen=True)
class SnapshotWriter:
    """Writes the parts of one snapshot."""

    source: Source
    state: Store
    stager: Stager
    enrichment: Enrichment
    snapshot: Snapshot

    def write(self) -> StagedCounts:
        """Write rows and requests part by part; return their counts. Raises SourceError if a key does not identify."""
        key_check = KeyCheck(list(self.enrichment.key))
        counts = StagedCounts(0, 0, 0)
        with ExitStack() as uploads, BackgroundCalls() as background:
            for part in self._parts():
                part_uploads = uploads.enter_context(ExitStack())
                part_number = counts.parts
                writer = self._writer(part_number, part_uploads, background)
                counts += self._write_part(part, writer, key_check)
                # Otherwise the data of the uploads would stay in memory to the end.
                background.do(part_uploads.close)
        key_check.check(lambda: self._staged_keys(counts.parts))
        return counts

    def _parts(self) -> Iterator[Iterator[Encoded]]:
        batches = read_ahead(read(self.source, self.enrichment.limit))
        encoded_batches = _encoded(batches, self.stager)
        return _parts(encoded_batches)

    def _writer(
        self, part: int, uploads: ExitStack, background: BackgroundCalls
    ) -> _PartWriter:
        """Begin the two files of a part; they are discarded with `uploads` if they are not committed."""
        kept = self.enrichment.kept
        row_key = keys.rows(self.snapshot, part)
        row_schema = rows_schema(self.source.schema, kept)
        row_upload = self._upload(row_key, row_schema)
        uploads.enter_context(row_upload)
        request_key = keys.requests(self.snapshot, part)
        request_upload = self._upload(request_key, self.stager.schema)
        uploads.enter_context(request_upload)
        return _PartWriter(row_upload, request_upload, kept, background)

    def _upload(self, key: str, schema: pa.Schema) -> parquet.ParquetUpload:
        return parquet.ParquetUpload(self.state, key, schema, parquet.PLAIN)

    def _write_part(
        self, part: Iterator[Encoded], writer: _PartWriter, key_check: KeyCheck
    ) -> StagedCounts:
        request_numbers = RequestNumbers()
        row_count = 0
        for encoded in part:
            key_check.add(encoded.rows)
            staged = self.stager.stage(encoded, request_numbers)
            writer.write(encoded.rows, staged)
            row_count += encoded.rows.num_rows
        writer.commit()
        return StagedCounts(1, row_count, len(request_numbers))

    def _staged_keys(self, part_count: int) -> Batches:
        """Read the key columns of the rows that were written."""
        columns = list(self.enrichment.key)
        for part in range(part_count):
            row_key = keys.rows(self.snapshot, part)
            yield from parquet.batches(self.state, row_key, columns, BATCH_ROWS)


def _encoded(batches: Batches, stager: Stager) -> Iterator[Encoded]:
    """Encode rows; only a few at a time if they have images or documents, since each may be megabytes."""
    if stager.template.has_media:
        return read_ahead(_encoded_media(batches, stager))
    return map_in_thread(stager.encode, _sliced(batches, BATCH_ROWS))


def _encoded_media(batches: Batches, stager: Stager) -> Iterator[Encoded]:
    for rows in _sliced(batches, MEDIA_ROWS):
        yield from stager.encode_media(rows)


def _sliced(batches: Batches, most_rows: int) -> Batches:
    """Cut batches into slices; an empty batch is one slice."""
    for batch in batches:
        end = max(1, batch.num_rows)
        for start in range(0, end, most_rows):
            yield batch.slice(start, most_rows)


def _parts(batches: Iterator[Encoded]) -> Iterator[Iterator[Encoded]]:
    """Cut a stream of batches into parts of about PART_ROWS rows; each part must be read before the next."""
    first_batch = next(batches, None)
    while first_batch is not None:
        upcoming: list[Encoded | None] = [first_batch]
        yield _part(upcoming, batches)
        first_batch = upcoming[0]


def _part(
    upcoming: list[Encoded | None], batches: Iterator[Encoded]
) -> Iterator[Encoded]:
    """Yield the batches of one part; `upcoming` then holds the first batch of the next part, None at the end."""
    row_count = 0
    byte_count = 0
    while row_count < PART_ROWS and byte_count < PART_BYTES:
        batch = upcoming[0]
        if batch is None:
            return
        row_count += batch.rows.num_rows
        byte_count += batch.rows.nbytes
        yield batch
        upcoming[0] = next(batches, None)
