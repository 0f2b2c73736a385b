"""Prepare: read the partition once, and stage its rows and its requests as a snapshot.

The snapshot is named by its content, so preparing the same input again finds it and reads only the listing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

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
from nightbatch.prepare.encoding.schemas import MEDIA_REQUESTS
from nightbatch.prepare.encoding.stager import Stager
from nightbatch.prepare.snapshot import SnapshotWriter, StagedCounts
from nightbatch.prepare.source import (
    Source,
    check_unchanged,
    common_schema,
    parquet_files,
)
from nightbatch.spec import locations
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.locations import partition_path
from nightbatch.spec.published_columns import check_drift
from nightbatch.spec.run import Run, question_name, snapshot_name
from nightbatch.template.limited import limited
from nightbatch.template.media import Fetch, no_fetch
from nightbatch.template.template import Template


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
    writer = SnapshotWriter(partition_source, state, stager, enrichment, snapshot)
    try:
        counts = writer.write()
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


def _run(
    enrichment: Enrichment,
    snapshot: Snapshot,
    shared_frame: Frame,
    files: list[Entry],
    counts: StagedCounts,
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
