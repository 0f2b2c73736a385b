"""Publish rows joined with their answers as the partition, `_SUCCESS` last.

All files are uploaded before the old ones are touched. Then the old `_SUCCESS` and the old files are removed, the new
files are completed, and the new `_SUCCESS` is written. A reader that requires `_SUCCESS` never sees two runs mixed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal

import msgspec
import pyarrow as pa

from nightbatch.columnar import parquet
from nightbatch.columnar.threads import Behind, ahead
from nightbatch.errors import RunFailed, StoreError
from nightbatch.failpoints import reach
from nightbatch.ledger import keys, lease, marker
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.marker import Profile
from nightbatch.messages.outcome import Status, commonest
from nightbatch.money import cache, totals
from nightbatch.money.prices import prices
from nightbatch.money.warnings import afterwards
from nightbatch.ports import Store, Table
from nightbatch.publish import report, schema_changes
from nightbatch.publish.destination import FolderTarget, TableTarget
from nightbatch.publish.join import Join
from nightbatch.publish.publication import Publication, publication
from nightbatch.publish.quality import Finding, QualityProbe, findings, require_sound
from nightbatch.publish.winners import MICRO
from nightbatch.spec import locations
from nightbatch.spec.checks import Checks
from nightbatch.spec.published_columns import REQUEST_ID, require_categories
from nightbatch.spec.run import Run
from nightbatch.spec.run_ref import RunRef

FILE_ROWS = 1_000_000
BATCH_ROWS = 32_768


def publish(
    ref: RunRef,
    ledger: Ledger,
    target: Store | Table,
    now: Callable[[], datetime],
    started: datetime,
) -> report.Report:
    """Publish a run's partition and return its report.

    Raises RunFailed, with nothing published, below min_answered or if a red check has not passed.
    """
    run = ledger.run(ref.snapshot)
    probe = QualityProbe(Checks.read(ref.rules.checks), run.key)
    destination = _destination(target, run.partition)
    run_publication = publication(ref, run, ledger)
    with ExitStack() as stack:
        output = _Output(destination, run_publication, stack)
        join = _write(output, probe)
        require_enough(ref, join.by_status, join.errors)
        if not join.rows and not ref.rules.allow_empty:
            require_rows(destination.rows_before())
        reach("files uploaded")
        held_lease = lease.hold(
            ledger.store, now, holder=ref.buyer, seconds=ledger.lease_seconds
        )
        stack.enter_context(held_lease)
        check_findings = _check(run, probe, join, destination)
        require_sound(check_findings)
        summary = _report(run, run_publication, join, started, now())
        old_columns = destination.columns_before()
        new_columns = schema_changes.columns(join.schema)
        column_changes: list[str] = []
        if old_columns:
            column_changes = schema_changes.changes(old_columns, new_columns)
        summary["schema_changes"] = column_changes
        summary["checks"] = [finding.to_json() for finding in check_findings]
        content = {**summary, "profile": probe.profile, "columns": new_columns}
        output.replace_partition(content, join.schema)
    report_key = keys.report(run.partition, run.snapshot)
    report_body = msgspec.json.encode(summary, order="sorted")
    ledger.store.create(report_key, report_body)
    return summary


def _destination(target: Store | Table, partition: str) -> FolderTarget | TableTarget:
    """Return where the partition goes; raise TargetError if its folder holds files of another program."""
    if isinstance(target, Table):
        return TableTarget(target, partition)
    marker.refuse_foreign(target, locations.folder(partition))
    return FolderTarget(target, partition)


def require_enough(
    ref: RunRef, rows: Mapping[str, int], errors: Mapping[str, int]
) -> None:
    """Raise RunFailed if too few rows are answered. `rows`: counts by status; `errors`: counts by error."""
    total = sum(rows.values())
    answered = rows.get(str(Status.ANSWERED), 0)
    if total and (answered == 0 or answered < ref.rules.min_answered * total):
        most_first = sorted(rows.items(), key=lambda status_count: -status_count[1])
        status_counts = [f"{count} {status}" for status, count in most_first]
        counts = ", ".join(status_counts)
        raise RunFailed(
            f"{answered} of {total} rows were answered, below min_answered={ref.rules.min_answered}: {counts}. "
            f"The commonest error: {commonest(errors)}; the words are in column error of {ref.state}{keys.LANDED}. "
            "Nothing was published; answers that were bought are kept, and a rerun asks only what is lost."
        )


def require_rows(rows_before: int) -> None:
    """Raise RunFailed for an empty partition if the one before had rows: its input is more likely late than empty."""
    if rows_before:
        raise RunFailed(
            f"The partition has no rows, and the one before it has {rows_before:,}. Nothing was published. "
            "See whether its input is there; if it is empty on purpose, set allow_empty."
        )


def _check(
    run: Run, probe: QualityProbe, join: Join, destination: FolderTarget | TableTarget
) -> list[Finding]:
    past_profiles: list[Profile] = []
    if probe.profile:
        past_profiles = destination.profiles(probe.checks.nights)
    return findings(
        probe,
        expected=run.rows,
        answered=_answered(join),
        repeats=probe.repeats,
        history=past_profiles,
    )


def _answered(join: Join) -> int:
    return join.by_status.get(str(Status.ANSWERED), 0)


class _Output:
    """The files of a partition while they are uploaded. `open` comes first."""

    store: Store
    schema: pa.Schema

    def __init__(
        self,
        destination: FolderTarget | TableTarget,
        run_publication: Publication,
        stack: ExitStack,
    ) -> None:
        self.publication = run_publication
        self.uploads: list[parquet.ParquetUpload] = []
        self._destination = destination
        self._stack = stack

    def open(self, schema: pa.Schema) -> None:
        """Prepare the destination for files with these columns."""
        self.store, self.schema = self._destination.open(schema)

    def add_file(self, layout: parquet.GroupLayout = parquet.USUAL) -> None:
        """Start the next file."""
        folder = locations.folder(self._destination.partition)
        key = keys.part(folder, self.publication.name, len(self.uploads))
        upload = parquet.ParquetUpload(self.store, key, self.schema, layout)
        self.uploads.append(self._stack.enter_context(upload))

    def fill(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Give rows the columns of a file."""
        return self._destination.fill(rows, self.schema)

    def replace_partition(self, content: report.Report, schema: pa.Schema) -> None:
        """Put the uploaded files in the place of the published ones. `schema`: without the path's columns."""
        destination = self._destination
        if isinstance(destination, TableTarget):
            file_schema = self.uploads[0].schema
            destination.replace(self.store, self.uploads, content, file_schema)
        else:
            _replace(destination.partition, self.store, self.uploads, content, schema)


def _write(output: _Output, probe: QualityProbe) -> Join:
    """Upload all files of the partition without publishing any of them."""
    run = output.publication.run
    state_store = output.publication.ledger.store
    rows_key = keys.rows(run.snapshot, 0)
    rows_schema = parquet.file(state_store, rows_key).schema_arrow
    kept_fields = [rows_schema.field(name) for name in run.kept]
    join = Join(run.answer, kept_fields)
    require_categories(probe.checks, join.schema)
    output.open(join.schema)
    with Behind() as behind:
        _write_rows(output, join, probe, behind)
        probe.close(lambda: _key_rows(state_store, run))
    if not output.uploads:
        output.add_file()
    output.uploads[-1].close()
    return join


def _write_rows(
    output: _Output, join: Join, probe: QualityProbe, behind: Behind
) -> None:
    """Join all rows with their answers and write them, FILE_ROWS or a little more to a file."""
    run_publication = output.publication
    run = run_publication.run
    state_store = run_publication.ledger.store
    single_key = run.key if len(run.key) == 1 else ()
    layout = parquet.GroupLayout(unique=[REQUEST_ID, *single_key])
    uploads = output.uploads
    for window in ahead(run_publication.windows()):
        used_before = run_publication.used[window.same]
        join.turn(window.answers, used_before)
        for batch in ahead(_rows(state_store, run, window.part)):
            if join.rows >= len(uploads) * FILE_ROWS:
                if uploads:
                    behind.do(uploads[-1].close)
                output.add_file(layout)
            joined_rows = probe.see(join.join(batch))
            file_rows = output.fill(joined_rows)
            behind.do(uploads[-1].write, file_rows)
        run_publication.close(window, join.uses)


def _rows(
    state_store: Store, run: Run, part: int, columns: list[str] | None = None
) -> Iterator[pa.RecordBatch]:
    rows_key = keys.rows(run.snapshot, part)
    return parquet.batches(state_store, rows_key, columns, BATCH_ROWS)


def _key_rows(state_store: Store, run: Run) -> Iterator[pa.RecordBatch]:
    """Read the key columns of all rows."""
    for part in range(run.parts):
        yield from _rows(state_store, run, part, run.key)


def _replace(
    partition: str,
    target: Store,
    uploads: list[parquet.ParquetUpload],
    summary: report.Report,
    schema: pa.Schema,
) -> None:
    """Replace the files of a folder; does nothing if just these files are published already."""
    folder = locations.folder(partition)
    success_key = folder + locations.SUCCESS
    file_keys = {upload.key for upload in uploads}
    schema_hash = hashlib.sha256(schema.serialize()).hexdigest()[:16]
    marker.refuse_foreign(target, folder)
    old_keys = _part_keys(target, folder)
    has_same_files = set(old_keys) == file_keys
    if has_same_files and _is_published(target, folder, file_keys, schema_hash):
        return
    target.remove([success_key])
    reach("old _SUCCESS removed")
    target.remove(key for key in old_keys if key not in file_keys)
    reach("old files removed")
    for upload in uploads:
        upload.commit()
        reach("file published")
    content = {**summary, "files": sorted(file_keys), "schema_hash": schema_hash}
    is_created = target.create(success_key, msgspec.json.encode(content))
    if not is_created and not _is_published(target, folder, file_keys, schema_hash):
        _withdraw(target, folder, file_keys)
        raise StoreError(
            f"{target.url}{success_key}: somebody else has published at the same time. Publish again."
        )
    reach("_SUCCESS written")


def _part_keys(target: Store, folder: str) -> list[str]:
    """List the data files of a folder that nightbatch has written."""
    all_keys = [entry.key for entry in target.children(folder)]
    return [key for key in all_keys if keys.is_part(key.removeprefix(folder))]


def _withdraw(target: Store, folder: str, file_keys: set[str]) -> None:
    """Remove our files from a partition that another run has just published, except those that it published too."""
    published = marker.read(target, folder)
    published_keys = set(published.files if published else [])
    target.remove(sorted(file_keys - published_keys))


def _is_published(
    target: Store, folder: str, file_keys: set[str], schema_hash: str
) -> bool:
    """Check whether exactly these files are published already: then the partition is not changed."""
    published = marker.read(target, folder)
    if published is None:
        return False
    has_same_files = set(published.files) == file_keys
    return has_same_files and published.schema_hash == schema_hash


def _report(
    run: Run,
    run_publication: Publication,
    join: Join,
    started: datetime,
    now: datetime,
) -> report.Report:
    facts = run_publication.facts
    sums = run_publication.sums
    tokens = totals.tokens(facts)
    saved = report.Saved(
        batch=totals.saved_by_batch(facts),
        cache=totals.saved_by_cache(facts),
        reuse=_dollars(sums.reuse),
        duplicates=_dollars(sums.duplicates),
    )
    return {
        "rows": join.rows,
        "requests": sums.requests,
        "reused": sums.reused,
        "bought": sums.bought,
        "answered": _answered(join),
        "by_status": dict(sorted(join.by_status.items())),
        "batches": len(facts),
        "tokens": tokens,
        **report.money(facts),
        "saved_usd": saved.to_json(),
        "cache_hit_rate": cache.hit_rate(tokens),
        "full_price_requests": sum(fact.full_price for fact in facts),
        "warnings": afterwards(prices(), run, facts, now.date()),
        "seconds": round((now - started).total_seconds(), 1),
        "partition": run.partition,
        "snapshot": run.snapshot,
        "target": run.target,
    }


def _dollars(amount: int | None) -> Decimal | None:
    """Convert 10^-12 USD to USD."""
    return None if amount is None else Decimal(amount) / MICRO
