"""Upload the files of a partition, the rows joined with their answers, without publishing any of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pyarrow as pa

from nightbatch.columnar import parquet
from nightbatch.columnar.threads import BackgroundCalls, read_ahead
from nightbatch.ledger import keys
from nightbatch.ports import Store
from nightbatch.publish.folder_target import FolderTarget
from nightbatch.publish.join import Join
from nightbatch.publish.publication import Publication
from nightbatch.publish.quality import QualityProbe
from nightbatch.publish.report import Report
from nightbatch.publish.table_target import TableTarget
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
        folder = locations.folder(self._destination.partition)
        key = keys.part(folder, self.publication.name, len(self.uploads))
        layout = _layout(self.publication.run)
        upload = parquet.ParquetUpload(self.store, key, self.schema, layout)
        self._stack.enter_context(upload)
        self.uploads.append(upload)


def _layout(run: Run) -> parquet.GroupLayout:
    """Return how files are written: without dictionaries for columns whose values are all different."""
    unique_columns = [REQUEST_ID]
    if len(run.key) == 1:
        unique_columns += run.key
    return parquet.GroupLayout(unique=unique_columns)


def write(output: Output, probe: QualityProbe) -> Join:
    """Upload all files of the partition without publishing any of them."""
    run = output.publication.run
    state_store = output.publication.ledger.store
    first_key = keys.rows(run.snapshot, 0)
    staged_schema = parquet.file(state_store, first_key).schema_arrow
    kept_fields = [staged_schema.field(name) for name in run.kept]
    join = Join(run.answer, kept_fields)
    require_categories(probe.checks, join.schema)
    output.open(join.schema)
    with BackgroundCalls() as background:
        _write_rows(output, join, probe, background)
        probe.check_keys(lambda: _key_rows(state_store, run))
    output.close()
    return join


def _write_rows(
    output: Output, join: Join, probe: QualityProbe, background: BackgroundCalls
) -> None:
    """Join all rows with their answers, part by part, and write them."""
    publication = output.publication
    state_store = publication.ledger.store
    for part in read_ahead(publication.parts()):
        used_before = publication.is_used[part.first_numbers]
        join.start_part(part.answers, used_before)
        staged_rows = _staged_rows(state_store, publication.run, part.number)
        for batch in read_ahead(staged_rows):
            joined_rows = join.join(batch)
            probe.count(joined_rows)
            output.write(joined_rows, background)
        publication.add_to_sums(part, join.row_counts)


def _staged_rows(
    state_store: Store, run: Run, part: int, columns: list[str] | None = None
) -> Iterator[pa.RecordBatch]:
    rows_key = keys.rows(run.snapshot, part)
    return parquet.batches(state_store, rows_key, columns, BATCH_ROWS)


def _key_rows(state_store: Store, run: Run) -> Iterator[pa.RecordBatch]:
    """Read the key columns of all rows."""
    for part in range(run.parts):
        yield from _staged_rows(state_store, run, part, run.key)
