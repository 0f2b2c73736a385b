"""Upload the files of a partition, the rows joined with their answers, without publishing any of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pyarrow as pa

from nightbatch.columnar import parquet
from nightbatch.columnar.threads import BackgroundCalls, read_ahead
from nightbatch.ledger import keys
from nightbatch.ports import Store
from nightbatch.publish.join import Join
from nightbatch.publish.publication import Publication
from nightbatch.publish.quality import QualityProbe
from nightbatch.publish.report import Report
from nightbatch.publish.targets.folder_target import FolderTarget
from nightbatch.publish.targets.table_target import TableTarget
from nightbatch.spec import locations
from nightbatch.spec.parameters.output_columns import REQUEST_ID
from nightbatch.spec.published_columns import require_categories
from nightbatch.spec.run import Run

FILE_ROWS = 1_000_000
BATCH_ROWS = 32_768


class Output:
    """The files of a partition while they are uploaded. `open` comes first."""

    store: Store
    schema: pa.Schema

    def __init__(
        self,
        destination: FolderTarget | TableTarget,
        publication: Publication,
        stack: ExitStack,
    ) -> None:
        self.publication = publication
        self.uploads: list[parquet.ParquetUpload] = []
        self._destination = destination
        self._stack = stack
        self._row_count = 0

    def open(self, schema: pa.Schema) -> None:
        """Prepare the destination for files with these columns."""
        self.store, self.schema = self._destination.open(schema)

    def write(self, rows: pa.RecordBatch, background: BackgroundCalls) -> None:
        """Write rows in the background, FILE_ROWS or a little more to a file."""
        if self._row_count >= len(self.uploads) * FILE_ROWS:
            if self.uploads:
                background.do(self.uploads[-1].close)
            self._add_file()
        self._row_count += rows.num_rows
        file_rows = self._destination.fill(rows, self.schema)
        background.do(self.uploads[-1].write, file_rows)

    def close(self) -> None:
        """Complete the last file; a partition without rows is one file without rows."""
        if not self.uploads:
            self._add_file()
        self.uploads[-1].close()

    def replace_partition(self, content: Report) -> None:
        """Put the uploaded files in the place of the published ones."""
        self._destination.replace(self.store, self.uploads, content, self.schema)

    def _add_file(self) -> None:
        upload = self._new_upload()
        self._stack.enter_context(upload)
        self.uploads.append(upload)

    def _new_upload(self) -> parquet.ParquetUpload:
        folder = locations.folder(self._destination.partition)
        key = keys.part(folder, self.publication.name, len(self.uploads))
        layout = _layout(self.publication.run)
        return parquet.ParquetUpload(self.store, key, self.schema, layout)


def _layout(run: Run) -> parquet.GroupLayout:
    """Return how files are written: without dictionaries for columns whose values are all different."""
    unique_columns = [REQUEST_ID]
    if len(run.key) == 1:
        unique_columns += run.key
    return parquet.GroupLayout(unique=unique_columns)


def write(output: Output, probe: QualityProbe) -> Join:
    """Upload all files of the partition without publishing any of them."""
    publication = output.publication
    join = _join(publication)
    schema = join.schema
    require_categories(probe.checks, schema)
    output.open(schema)
    read_keys = partial(_key_rows, publication)
    with BackgroundCalls() as background:
        _write_rows(output, join, probe, background)
        probe.check_keys(read_keys)
    output.close()
    return join


def _join(publication: Publication) -> Join:
    run = publication.run
    staged_schema = _staged_schema(publication)
    kept_fields = [staged_schema.field(name) for name in run.kept]
    return Join(run.answer, kept_fields)


def _staged_schema(publication: Publication) -> pa.Schema:
    first_key = keys.rows(publication.run.snapshot, 0)
    first_part = parquet.file(publication.ledger.store, first_key)
    return first_part.schema_arrow


def _write_rows(
    output: Output, join: Join, probe: QualityProbe, background: BackgroundCalls
) -> None:
    """Join all rows with their answers, part by part, and write them."""
    publication = output.publication
    parts = publication.parts()
    for part in read_ahead(parts):
        used_before = publication.used_before(part)
        join.start_part(part.answers, used_before)
        staged_rows = _staged_rows(publication, part.number)
        rows_ahead = read_ahead(staged_rows)
        for batch in rows_ahead:
            joined_rows = join.join(batch)
            probe.count(joined_rows)
            output.write(joined_rows, background)
        row_counts = join.row_counts
        publication.add_to_sums(part, row_counts)


def _staged_rows(
    publication: Publication, part: int, columns: list[str] | None = None
) -> Iterator[pa.RecordBatch]:
    rows_key = keys.rows(publication.run.snapshot, part)
    return parquet.batches(publication.ledger.store, rows_key, columns, BATCH_ROWS)


def _key_rows(publication: Publication) -> Iterator[pa.RecordBatch]:
    """Read the key columns of all rows."""
    run = publication.run
    for part in range(run.parts):
        yield from _staged_rows(publication, part, run.key)
