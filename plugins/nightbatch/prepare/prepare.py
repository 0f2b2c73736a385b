"""Prepare: read the partition once, and stage its rows and its requests as a snapshot.

The snapshot is named by its content, so preparing the same again finds it and reads nothing but the listing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pyarrow as pa

from nightbatch.columnar import parquet
from nightbatch.columnar.threads import Behind, ahead, beside
from nightbatch.errors import Absent, StoreUnfit
from nightbatch.failpoints import reach
from nightbatch.ids import Snapshot
from nightbatch.ledger import keys
from nightbatch.ledger.marker import refuse_foreign
from nightbatch.ledger.state import OpenStore, mark
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
from nightbatch.prepare.stager import MEDIA_REQUESTS, Encoded, Stager, rows_schema
from nightbatch.prepare.unique_key import KeyCheck
from nightbatch.spec import locations
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.locations import partition_path
from nightbatch.spec.published_columns import check_drift, check_names
from nightbatch.spec.run import Run, question_name, snapshot_name
from nightbatch.template.limited import limited
from nightbatch.template.media import Fetch, no_fetch
from nightbatch.template.template import Template

PART_ROWS, PART_BYTES = 65_536, 512 * 1024 * 1024
MEDIA_ROWS = 64


def prepare(
    enrichment: Enrichment, source: Store, state: Store, fetch: Fetch = no_fetch
) -> Run:
    """Stage the rows and requests of a partition.

    `source` is rooted at the dataset, `state` at the ledger; `fetch` reads what a column of addresses names. Raises
    InputError with nothing bought where the data or the parameters cannot work, and StoreUnfit where the store would
    let two writers believe they were first.
    """
    enrichment.check()
    answer = AnswerType(enrichment.schema)
    answer.check()
    check_drift(enrichment, answer)
    template = limited(Template(enrichment.user_template))
    made = frame_of(enrichment, answer)
    probe(state)
    mark(state)
    reach("store proved fit")
    files, shape = parquet_files(source, enrichment.partition)
    settings = _settings(enrichment, made)
    name = snapshot_name(settings, files)
    if (known := _staged_before(state, name)) is not None:
        return known
    columns = list(dict.fromkeys([*enrichment.kept, *template.columns]))
    schema = common_schema(source, shape, template, columns)
    check_names(answer, enrichment.kept)
    stager = Stager(template, made, enrichment.max_batch_bytes, fetch)
    try:
        counts = _stage(Source(source, files, schema), state, stager, enrichment, name)
    finally:
        check_unchanged(source, enrichment.partition, files)
    reach("source seen unchanged")
    run = _run(enrichment, name, made, files, counts)
    state.create(keys.run(name), run.to_json())
    reach("snapshot complete")
    return run


def check_target(enrichment: Enrichment, open_store: OpenStore) -> None:
    """Refuse a target folder that holds what nightbatch has not written, before anything is bought."""
    if not enrichment.table:
        refuse_foreign(
            open_store(enrichment.place), locations.folder(enrichment.partition)
        )


def _staged_before(state: Store, name: Snapshot) -> Run | None:
    """Read a snapshot's run; None where there is none, or where a part has been removed since and is staged anew."""
    try:
        run = Run.from_json(state.get(keys.run(name)))
    except Absent:
        return None
    there = {entry.key for entry in state.list(keys.snapshot(name))}
    parts = (
        key(name, part)
        for part in range(run.parts)
        for key in (keys.rows, keys.requests)
    )
    return run if there.issuperset(parts) else None


def probe(state: Store) -> None:
    """Refuse a store in which a second create of the same key silently wins."""
    key = f"{keys.PROBE}{uuid4().hex}"
    first, second = state.create(key, b"first"), state.create(key, b"second")
    state.remove([key])
    if not first or second:
        raise StoreUnfit(
            f"{state.url} has no conditional writes: a second If-None-Match put overwrote the first. "
            "Without them two runs could buy the same rows; use a store that honours them."
        )


def frame_of(enrichment: Enrichment, answer: AnswerType) -> Frame:
    """Build what all requests share; the system part is cached where it is long enough for the model."""
    shared = shared_params(
        model=enrichment.model,
        max_tokens=enrichment.max_tokens,
        params=enrichment.params,
        output_format=answer.api_schema,
    )
    system = enrichment.system_text
    return frame(
        shared,
        system=system,
        cache=cache.long_enough(prices(), enrichment.model, system),
    )


def _settings(enrichment: Enrichment, made: Frame) -> Mapping[str, Any]:
    """Everything besides the files that shapes rows and requests."""
    return {
        "source": enrichment.source_url,
        "target": enrichment.place,
        "kept": enrichment.kept,
        "key": list(enrichment.key),
        "template": enrichment.user_template,
        "wire": made.wire.decode(),
        "schema": enrichment.schema,
        "limit": enrichment.limit,
        "max_batch_bytes": enrichment.max_batch_bytes,
        **(
            _media_settings(enrichment)
            if Template(enrichment.user_template).has_media
            else {}
        ),
    }


def _media_settings(enrichment: Enrichment) -> Mapping[str, Any]:
    roots = (
        {}
        if enrichment.media_roots is None
        else {"media_roots": list(enrichment.media_roots)}
    )
    return {"staged": sorted(MEDIA_REQUESTS.names), **roots}


def _stage(
    source: Source, state: Store, stager: Stager, enrichment: Enrichment, name: Snapshot
) -> tuple[int, int, int]:
    """Write rows and requests part by part; return the counts of parts, rows and requests."""
    key_check, rows, requests, parts = KeyCheck(list(enrichment.key)), 0, 0, 0
    with ExitStack() as stack, Behind() as behind:
        for part in _parts(_encoded(ahead(read(source, enrichment.limit)), stager)):
            both = stack.enter_context(ExitStack())
            row_sheet, request_sheet = (
                both.enter_context(
                    parquet.Sheet(state, key(name, parts), schema, parquet.PLAIN)
                )
                for key, schema in (
                    (keys.rows, rows_schema(source.schema, enrichment.kept)),
                    (keys.requests, stager.schema),
                )
            )
            seen = dict[bytes, int]()
            for encoded in part:
                key_check.add(encoded.rows)
                staged = stager.stage(encoded, seen)
                kept = [
                    *(encoded.rows.column(column) for column in enrichment.kept),
                    staged.numbers,
                    staged.problems,
                ]
                behind.do(
                    row_sheet.write,
                    pa.RecordBatch.from_arrays(kept, schema=row_sheet.schema),
                )
                behind.do(request_sheet.write, staged.requests)
                rows += encoded.rows.num_rows
            for sheet in (row_sheet, request_sheet):
                behind.do(sheet.close)
                behind.do(sheet.commit)
                behind.do(reach, "part of the snapshot written")
            behind.do(
                both.close
            )  # or what they were uploaded from would be held to the end
            parts, requests = parts + 1, requests + len(seen)
    key_check.check(lambda: _staged_rows(state, name, parts, list(enrichment.key)))
    return parts, rows, requests


def _staged_rows(
    state: Store, name: Snapshot, parts: int, columns: list[str]
) -> Iterator[pa.RecordBatch]:
    for part in range(parts):
        yield from parquet.batches(state, keys.rows(name, part), columns, BATCH_ROWS)


def _encoded(batches: Iterator[pa.RecordBatch], stager: Stager) -> Iterator[Encoded]:
    """Encode rows, few at a time where they have images or documents: each may be megabytes."""
    if stager.template.has_media:
        return ahead(
            encoded
            for rows in _sliced(batches, MEDIA_ROWS)
            for encoded in stager.encode_media(rows)
        )
    return beside(stager.encode, _sliced(batches, BATCH_ROWS))


def _sliced(
    batches: Iterator[pa.RecordBatch], most_rows: int
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield from (
            batch.slice(at, most_rows)
            for at in range(0, max(1, batch.num_rows), most_rows)
        )


def _parts(batches: Iterator[Encoded]) -> Iterator[Iterator[Encoded]]:
    """Cut a stream of batches into parts of about PART_ROWS rows; each part must be read before the next."""
    first = next(batches, None)
    while first is not None:
        rest: list[Encoded | None] = [first]

        def part(rest: list[Encoded | None] = rest) -> Iterator[Encoded]:
            count = size = 0
            while rest[0] is not None and count < PART_ROWS and size < PART_BYTES:
                rows = rest[0].rows
                count, size = count + rows.num_rows, size + rows.nbytes
                yield rest[0]
                rest[0] = next(batches, None)

        yield part()
        first = rest[0]


def _run(
    enrichment: Enrichment,
    name: Snapshot,
    made: Frame,
    files: list[Entry],
    counts: tuple[int, int, int],
) -> Run:
    parts, rows, requests = counts
    return Run(
        snapshot=name,
        source=enrichment.source_url,
        target=enrichment.place,
        partition=partition_path(enrichment.partition),
        kept=enrichment.kept,
        key=list(enrichment.key),
        model=enrichment.model,
        max_tokens=enrichment.max_tokens,
        schema=dict(enrichment.schema) if enrichment.schema is not None else None,
        wire=made.wire.decode(),
        identity=made.identity.decode(),
        files=[list(entry) for entry in files],
        parts=parts,
        rows=rows,
        requests=requests,
        source_bytes=sum(entry.size for entry in files),
        question=question_name(made, enrichment.user_template, enrichment.schema),
    )
