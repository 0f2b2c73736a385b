"""Publish: rows ⋈ answers becomes the partition, `_SUCCESS` last.

All files are uploaded before the old ones are touched, and only then completed: old `_SUCCESS` away, old files away,
new files in, new `_SUCCESS`. A reader that minds `_SUCCESS` never sees two runs mixed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core import caching, evolution, keys, report
from nightbatch.core.advice import afterwards
from nightbatch.core.answers import MICRO, Answers, Wave, gather
from nightbatch.core.errors import Absent, RunFailed, StoreError
from nightbatch.core.facts import LandedFact, RunRef
from nightbatch.core.outcome import Status, commonest
from nightbatch.core.output import Join
from nightbatch.core.pending import distinct
from nightbatch.core.ports import Store
from nightbatch.core.results import landed_schema
from nightbatch.core.run import Run
from nightbatch.core.staging import PROBLEM, REQUEST_ID
from nightbatch.steps import lease, sheets
from nightbatch.steps.evolution import columns_before
from nightbatch.steps.failpoints import reach
from nightbatch.steps.ledger import Ledger
from nightbatch.steps.prices import prices

FILE_ROWS, BATCH_ROWS = 1_000_000, 65_536
MOST_ERRORS = 1_000


@dataclass(frozen=True)
class Evidence:
    """The facts that a publication rests on."""

    answers: Answers
    facts: list[LandedFact]
    bought: np.ndarray
    """Which of the asked requests this run has bought."""

    @property
    def reused(self) -> np.ndarray:
        """Which of the asked requests were answered without this run buying them."""
        return ~self.bought & (self.answers.places >= 0)


def publish(
    ref: RunRef, ledger: Ledger, target: Store, now: Callable[[], datetime], started: datetime
) -> report.Report:
    """Publish a run's partition and return its report. Raises RunFailed, with nothing published, below min_answered."""
    run = ledger.run(ref.snapshot)
    evidence = _evidence(ref, run, ledger)
    require_enough(ref, *_count_rows(run, ledger, evidence))
    with lease.hold(ledger.store, now, holder=ref.buyer, seconds=ledger.lease_seconds), ExitStack() as stack:
        join, sheets_made = _write(run, ledger, evidence, target, stack)
        reach("files uploaded")
        summary = _report(run, evidence, join, started, now())
        before = columns_before(target, folder_of(run.partition))
        after = evolution.columns(join.schema)
        summary["schema_changes"] = evolution.changes(before, after) if before else []
        _replace(run.partition, target, sheets_made, summary, join.schema)
    ledger.store.create(keys.report(run.partition, run.snapshot), msgspec.json.encode(summary, order="sorted"))
    return summary


def require_enough(ref: RunRef, rows: Mapping[str, int], errors: Mapping[str, int]) -> None:
    """Decide red or green before anything is published. `errors`: how often each was told."""
    total, answered = sum(rows.values()), rows.get(str(Status.ANSWERED), 0)
    if total and (answered == 0 or answered < ref.min_answered * total):
        counts = ", ".join(f"{count} {status}" for status, count in sorted(rows.items(), key=lambda one: -one[1]))
        raise RunFailed(
            f"{answered} of {total} rows were answered, below min_answered={ref.min_answered}: {counts}. "
            f"The commonest error: {commonest(errors)}. "
            "Nothing was published; answers that were bought are kept, and a rerun asks only what is lost."
        )


def _evidence(ref: RunRef, run: Run, ledger: Ledger) -> Evidence:
    tables = (
        pa.table({"id": batch.column("id"), "part": pa.nulls(batch.num_rows, pa.int32())})
        for key in ledger.request_parts(run)
        for batch in sheets.batches(ledger.store, key, ["id"], BATCH_ROWS)
    )
    asked = distinct(tables).column("id").combine_chunks()
    facts: list[LandedFact] = []
    mine = np.zeros(len(asked), dtype=bool)

    def landed() -> Iterator[Wave]:
        for shard in ledger.view().landed:
            fact = ledger.landed(shard)
            if fact is None:
                continue
            ours = (fact.claim.target, fact.claim.partition) == (run.target, run.partition)
            usable = not ref.scope or fact.claim.scope == ref.scope
            if not ours and not usable:
                continue
            table = sheets.table(ledger.store, keys.landed(shard))
            if ours and fact.claim.buyer == ref.buyer:
                facts.append(fact)
                mine[_positions(asked, table)] = True
            yield Wave(table, ours, usable)

    schema = landed_schema(run.answer).remove_metadata()
    answers = gather(asked, landed(), schema)
    return Evidence(answers, facts, mine)


def _positions(asked: pa.Array, table: pa.Table) -> np.ndarray:
    return np.asarray(pc.drop_null(pc.index_in(table.column("id"), value_set=asked)))


def _rows(run: Run, ledger: Ledger, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    for part in range(run.parts):
        yield from sheets.batches(ledger.store, keys.rows(run.snapshot, part), columns, BATCH_ROWS)


def _count_rows(run: Run, ledger: Ledger, evidence: Evidence) -> tuple[dict[str, int], Counter[str]]:
    """Count the rows of each status, and the errors told, before a file is written."""
    join, errors = Join(run.answer, evidence.answers, []), Counter[str]()
    for batch in _rows(run, ledger, [REQUEST_ID, PROBLEM]):
        told = pc.value_counts(join.join(batch).column("_error").drop_null())
        errors.update({one["values"]: one["counts"] for one in told.to_pylist()[:MOST_ERRORS]})
    return dict(join.by_status), errors


def _write(
    run: Run, ledger: Ledger, evidence: Evidence, target: Store, stack: ExitStack
) -> tuple[Join, list[sheets.Sheet]]:
    """Upload all files of the partition without publishing one."""
    first = sheets.file(ledger.store, keys.rows(run.snapshot, 0)).schema_arrow
    join = Join(run.answer, evidence.answers, [first.field(name) for name in run.kept])
    name, made = content_name(run, evidence), list[sheets.Sheet]()
    folder = folder_of(run.partition)
    for batch in _rows(run, ledger, None):
        if not made or made[-1].rows >= FILE_ROWS:
            made.append(stack.enter_context(sheets.Sheet(target, keys.part(folder, name, len(made)), join.schema)))
        made[-1].write(join.join(batch))
    if not made:
        made.append(stack.enter_context(sheets.Sheet(target, keys.part(folder, name, 0), join.schema)))
    for sheet in made:
        sheet.close()
    return join, made


def content_name(run: Run, evidence: Evidence) -> str:
    """Name the files by the snapshot and by which landed rows speak for its requests."""
    digest = hashlib.sha256(run.snapshot.encode())
    for part in (evidence.answers.places, evidence.answers.paid):
        digest.update(part.tobytes())
    return digest.hexdigest()[:12]


def _replace(
    partition: str, target: Store, made: list[sheets.Sheet], summary: report.Report, schema: pa.Schema
) -> None:
    folder = folder_of(partition)
    success = folder + keys.SUCCESS
    names = {sheet.key for sheet in made}
    digest = hashlib.sha256(schema.serialize()).hexdigest()[:16]
    old = [entry.key for entry in target.list(folder + "part-")]
    if set(old) == names and _stands(target, success, names, digest):
        return
    target.remove([success])
    reach("old _SUCCESS removed")
    target.remove(key for key in old if key not in names)
    reach("old files removed")
    for sheet in made:
        sheet.commit()
        reach("file published")
    marker = {**summary, "files": sorted(names), "schema_hash": digest, "columns": evolution.columns(schema)}
    if not target.create(success, msgspec.json.encode(marker)):
        raise StoreError(f"{target.url}{success}: somebody else has published at the same time. Publish again.")
    reach("_SUCCESS written")


def _stands(target: Store, success: str, names: set[str], digest: str) -> bool:
    """Tell whether just these files are published already: then the partition is left untouched."""
    try:
        told = msgspec.json.decode(target.get(success))
    except Absent:
        return False
    return (set(told.get("files", [])), told.get("schema_hash")) == (names, digest)


def folder_of(partition: str) -> str:
    """Return the partition's folder below the target."""
    return partition.strip("/") + "/" if partition.strip("/") else ""


def _report(run: Run, evidence: Evidence, join: Join, started: datetime, now: datetime) -> report.Report:
    facts = evidence.facts
    tokens = report.tokens(facts)
    full_price = sum(fact.full_price for fact in facts)
    saved = report.Saved(report.saved_by_batch(facts), report.saved_by_cache(facts), *_shared(evidence, join))
    return {
        "rows": join.rows,
        "requests": len(evidence.answers.asked),
        "reused": int(evidence.reused.sum()),
        "bought": int(evidence.bought.sum()),
        "answered": join.by_status.get(str(Status.ANSWERED), 0),
        "by_status": dict(sorted(join.by_status.items())),
        "batches": len(facts),
        "tokens": tokens,
        **report.money(facts),
        "saved_usd": saved.to_json(),
        "cache_hit_rate": caching.hit_rate(tokens),
        "full_price_requests": full_price,
        "warnings": afterwards(prices(), run, tokens, full_price, now.date()) if facts else [],
        "seconds": round((now - started).total_seconds(), 1),
        "partition": run.partition,
        "snapshot": run.snapshot,
        "target": run.target,
    }


def _shared(evidence: Evidence, join: Join) -> tuple[Decimal | None, Decimal | None]:
    """Return what reuse and duplicates saved: what those requests did cost when they were bought."""
    cost, unknown = evidence.answers.prices()
    repeats = np.maximum(join.duplicate_uses - 1, 0)
    uses = (evidence.reused.astype(np.int64), repeats)
    reuse, duplicates = (
        None if unknown[times > 0].any() else Decimal(int((cost * times).sum())) / MICRO for times in uses
    )
    return reuse, duplicates
