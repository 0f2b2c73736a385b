"""Prepare: read the partition once, and stage its rows and its requests as a snapshot.

The snapshot is named by its content, so preparing the same input again finds it and reads only the listing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import uuid4

import pyarrow as pa

from nightbatch.columnar import parquet
from nightbatch.columnar.threads import BackgroundCalls, map_in_thread, read_ahead
from nightbatch.errors import Absent, StoreUnfit
from nightbatch.failpoints import reach
from nightbatch.ids import Snapshot
from nightbatch.ledger import keys
from nightbatch.ledger.marker import refuse_foreign
from nightbatch.ledger.state.mark import mark
from nightbatch.ledger.state.state import OpenStore
from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.request import Frame, frame, shared_params
from nightbatch.money import cache
from nightbatch.money.prices import prices
from nightbatch.ports import Entry, Store
from nightbatch.prepare.source import (
    BATCH_ROWS,
    Source,
    check_unchanged,
    common_schema,
    parquet_files,
    read,
)
from nightbatch.prepare.stager import (
    MEDIA_REQUESTS,
    Encoded,
    Staged,
    Stager,
    rows_schema,
)
from nightbatch.prepare.unique_key import KeyCheck
from nightbatch.spec import locations
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.locations import partition_path
from nightbatch.spec.published_columns import check_drift
from nightbatch.spec.run import Run, question_name, snapshot_name
from nightbatch.template.limited import limited
from nightbatch.template.media import Fetch, no_fetch
from nightbatch.template.template import Template

PART_ROWS = 65_536
PART_BYTES = 512 * 1024 * 1024
MEDIA_ROWS = 64


class _StagedCounts(NamedTuple):
    """How much is staged in a snapshot."""

    parts: int
    rows: int
    requests: int


def prepare(
    enrichment: Enrichment, source: Store, state: Store, fetch: Fetch = no_fetch
) -> Run:
    """Stage the rows and requests of a partition.

    `source` is rooted at the dataset, `state` at the ledger; `fetch` reads what a column of addresses names. Raises
    InputError with nothing bought if the data or the parameters cannot work, and StoreUnfit if two writers of the store
    could both believe that they were first.
    """
    enrichment.check()
    answer_type = AnswerType(enrichment.schema)
    answer_type.check()
    check_drift(enrichment, answer_type)
    template = limited(Template(enrichment.user_template))
    template.check_syntax()
    shared_frame = frame_of(enrichment, answer_type)
    probe(state)
    mark(state)
    reach("store proved fit")
    files, schema_files = parquet_files(source, enrichment.partition)
    settings = _settings(enrichment, shared_frame)
    snapshot = snapshot_name(settings, files)
    staged_run = _staged_before(state, snapshot)
    if staged_run is not None:
        return staged_run
    columns = list(dict.fromkeys([*enrichment.kept, *template.columns]))
    schema = common_schema(source, schema_files, template, columns)
    stager = Stager(template, shared_frame, enrichment.max_batch_bytes, fetch)
    partition_source = Source(source, files, schema)
    try:
        counts = _stage(partition_source, state, stager, enrichment, snapshot)
    finally:
        check_unchanged(source, enrichment.partition, files)
    reach("source seen unchanged")
    run = _run(enrichment, snapshot, shared_frame, files, counts)
    state.create(keys.run(snapshot), run.to_json())
    reach("snapshot complete")
    return run


def check_target(enrichment: Enrichment, open_store: OpenStore) -> None:
    """Refuse a target folder with files that nightbatch has not written, before anything is bought."""
    if not enrichment.table:
        target_store = open_store(enrichment.output_name)
        refuse_foreign(target_store, locations.folder(enrichment.partition))


def _staged_before(state: Store, snapshot: Snapshot) -> Run | None:
    """Read a snapshot's run; None if there is none, or if a part has been removed and must be staged again."""
    try:
        run = Run.from_json(state.get(keys.run(snapshot)))
    except Absent:
        return None
    stored_keys = {entry.key for entry in state.list(keys.snapshot(snapshot))}
    for part in range(run.parts):
        part_keys = {keys.rows(snapshot, part), keys.requests(snapshot, part)}
        if not part_keys <= stored_keys:
            return None
    return run


def probe(state: Store) -> None:
    """Refuse a store in which a second create of the same key overwrites the first without an error."""
    key = f"{keys.PROBE}{uuid4().hex}"
    first_created = state.create(key, b"first")
    second_created = state.create(key, b"second")
    state.remove([key])
    if not first_created or second_created:
        raise StoreUnfit(
            f"{state.url} has no conditional writes: a second If-None-Match put overwrote the first. "
            "Without them two runs could buy the same rows; use a store that supports them."
        )


def frame_of(enrichment: Enrichment, answer: AnswerType) -> Frame:
    """Build the part that all requests share; the system prompt is cached if it is long enough for the model."""
    system = enrichment.system_text
    shared = shared_params(
        model=enrichment.model,
        max_tokens=enrichment.max_tokens,
        params=enrichment.params,
        output_format=answer.api_schema,
    )
    is_cached = cache.long_enough(prices(), enrichment.model, system)
    return frame(shared, system=system, cache=is_cached)


def _settings(enrichment: Enrichment, shared_frame: Frame) -> Mapping[str, Any]:
    """Everything besides the files that shapes rows and requests."""
    settings = {
        "source": enrichment.source_url,
        "target": enrichment.output_name,
        "kept": enrichment.kept,
        "key": list(enrichment.key),
        "template": enrichment.user_template,
        "wire": shared_frame.wire.decode(),
        "schema": enrichment.schema,
        "limit": enrichment.limit,
        **enrichment.shaping_snapshot(),
    }
    if Template(enrichment.user_template).has_media:
        settings |= _media_settings(enrichment)
    return settings


def _media_settings(enrichment: Enrichment) -> dict[str, Any]:
    settings: dict[str, Any] = {"staged": sorted(MEDIA_REQUESTS.names)}
    if enrichment.media_roots is not None:
        settings["media_roots"] = list(enrichment.media_roots)
    return settings


def _stage(
    source: Source,
    state: Store,
    stager: Stager,
    enrichment: Enrichment,
    snapshot: Snapshot,
) -> _StagedCounts:
    """Write rows and requests part by part; return the counts of parts, rows and requests."""
    key_columns = list(enrichment.key)
    key_check = KeyCheck(key_columns)
    row_schema = rows_schema(source.schema, enrichment.kept)
    part_count = 0
    row_count = 0
    request_count = 0
    with ExitStack() as stack, BackgroundCalls() as background:
        for part in _source_parts(source, stager, enrichment.limit):
            part_stack = stack.enter_context(ExitStack())
            row_upload = part_stack.enter_context(
                _upload(state, keys.rows(snapshot, part_count), row_schema)
            )
            request_upload = part_stack.enter_context(
                _upload(state, keys.requests(snapshot, part_count), stager.schema)
            )
            writer = _PartWriter(
                row_upload, request_upload, enrichment.kept, background
            )
            request_numbers = dict[bytes, int]()
            for encoded in part:
                key_check.add(encoded.rows)
                staged = stager.stage(encoded, request_numbers)
                writer.write(encoded.rows, staged)
                row_count += encoded.rows.num_rows
            writer.commit()
            # Otherwise the data of the uploads would stay in memory to the end.
            background.do(part_stack.close)
            part_count += 1
            request_count += len(request_numbers)
    key_check.check(lambda: _staged_rows(state, snapshot, part_count, key_columns))
    return _StagedCounts(part_count, row_count, request_count)


def _upload(state: Store, key: str, schema: pa.Schema) -> parquet.ParquetUpload:
    return parquet.ParquetUpload(state, key, schema, parquet.PLAIN)


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


def _staged_rows(
    state: Store, snapshot: Snapshot, part_count: int, columns: list[str]
) -> Iterator[pa.RecordBatch]:
    for part in range(part_count):
        row_key = keys.rows(snapshot, part)
        yield from parquet.batches(state, row_key, columns, BATCH_ROWS)


def _source_parts(
    source: Source, stager: Stager, limit: int | None
) -> Iterator[Iterator[Encoded]]:
    batches = read_ahead(read(source, limit))
    encoded_batches = _encoded(batches, stager)
    return _parts(encoded_batches)


def _encoded(batches: Iterator[pa.RecordBatch], stager: Stager) -> Iterator[Encoded]:
    """Encode rows; only a few at a time if they have images or documents, since each may be megabytes."""
    if stager.template.has_media:
        return read_ahead(_encoded_media(batches, stager))
    return map_in_thread(stager.encode, _sliced(batches, BATCH_ROWS))


def _encoded_media(
    batches: Iterator[pa.RecordBatch], stager: Stager
) -> Iterator[Encoded]:
    for rows in _sliced(batches, MEDIA_ROWS):
        yield from stager.encode_media(rows)


def _sliced(
    batches: Iterator[pa.RecordBatch], most_rows: int
) -> Iterator[pa.RecordBatch]:
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


def _run(
    enrichment: Enrichment,
    snapshot: Snapshot,
    shared_frame: Frame,
    files: list[Entry],
    counts: _StagedCounts,
) -> Run:
    schema = enrichment.schema
    question = question_name(shared_frame, enrichment.user_template, schema)
    return Run(
        snapshot=snapshot,
        source=enrichment.source_url,
        target=enrichment.output_name,
        partition=partition_path(enrichment.partition),
        kept=enrichment.kept,
        key=list(enrichment.key),
        model=enrichment.model,
        max_tokens=enrichment.max_tokens,
        schema=dict(schema) if schema is not None else None,
        wire=shared_frame.wire.decode(),
        identity=shared_frame.identity.decode(),
        files=[list(entry) for entry in files],
        parts=counts.parts,
        rows=counts.rows,
        requests=counts.requests,
        source_bytes=sum(entry.size for entry in files),
        question=question,
    )
