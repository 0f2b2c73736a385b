"""Publish: rows ⋈ answers becomes the partition, `_SUCCESS` last.

All files are uploaded before the old ones are touched, and only then completed: old `_SUCCESS` away, old files away,
new files in, new `_SUCCESS`. A reader that minds `_SUCCESS` never sees two runs mixed.
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
from nightbatch.messages.outcome import Status, commonest
from nightbatch.money import cache, totals
from nightbatch.money.prices import prices
from nightbatch.money.warnings import afterwards
from nightbatch.ports import Store, Table
from nightbatch.publish import report, schema_changes
from nightbatch.publish.destination import Catalogued, Folder
from nightbatch.publish.evidence import Evidence, evidence
from nightbatch.publish.join import Join
from nightbatch.publish.quality import Finding, Watch, judge, require_sound
from nightbatch.publish.winners import MICRO
from nightbatch.spec import locations
from nightbatch.spec.checks import Checks
from nightbatch.spec.published_columns import REQUEST_ID, require_categories
from nightbatch.spec.run import Run
from nightbatch.spec.run_ref import RunRef

FILE_ROWS, BATCH_ROWS = 1_000_000, 32_768


def publish(
    ref: RunRef,
    ledger: Ledger,
    target: Store | Table,
    now: Callable[[], datetime],
    started: datetime,
) -> report.Report:
    """Publish a run's partition and return its report.

    Raises RunFailed, with nothing published, below min_answered or where a check that is red has not passed.
    """
    run = ledger.run(ref.snapshot)
    watch = Watch(Checks.read(ref.checks), run.key)
    shelf = (
        Catalogued(target, run.partition)
        if isinstance(target, Table)
        else Folder(target, run.partition)
    )
    if isinstance(shelf, Folder):
        marker.refuse_foreign(shelf.store, locations.folder(run.partition))
    found = evidence(ref, run, ledger)
    with ExitStack() as stack:
        store, join, sheets_made = _write(run, ledger, found, watch, shelf, stack)
        require_enough(ref, join.by_status, join.errors)
        if not join.rows and not ref.allow_empty:
            require_rows(shelf.rows_before())
        reach("files uploaded")
        stack.enter_context(
            lease.hold(
                ledger.store, now, holder=ref.buyer, seconds=ledger.lease_seconds
            )
        )
        findings = _judge(run, watch, join, shelf)
        require_sound(findings)
        summary = _report(run, found, join, started, now())
        before = shelf.columns_before()
        after = schema_changes.columns(join.schema)
        summary["schema_changes"] = (
            schema_changes.changes(before, after) if before else []
        )
        summary["checks"] = [one.to_json() for one in findings]
        content = {**summary, "profile": watch.profile, "columns": after}
        if isinstance(shelf, Catalogued):
            shelf.replace(store, sheets_made, content, sheets_made[0].schema)
        else:
            _replace(run.partition, store, sheets_made, content, join.schema)
    ledger.store.create(
        keys.report(run.partition, run.snapshot),
        msgspec.json.encode(summary, order="sorted"),
    )
    return summary


def require_enough(
    ref: RunRef, rows: Mapping[str, int], errors: Mapping[str, int]
) -> None:
    """Decide red or green before anything is published. `errors`: how often each was told."""
    total, answered = sum(rows.values()), rows.get(str(Status.ANSWERED), 0)
    if total and (answered == 0 or answered < ref.min_answered * total):
        counts = ", ".join(
            f"{count} {status}"
            for status, count in sorted(rows.items(), key=lambda one: -one[1])
        )
        raise RunFailed(
            f"{answered} of {total} rows were answered, below min_answered={ref.min_answered}: {counts}. "
            f"The commonest error: {commonest(errors)}; the words are in column error of {ref.state}{keys.LANDED}. "
            "Nothing was published; answers that were bought are kept, and a rerun asks only what is lost."
        )


def require_rows(rows_before: int) -> None:
    """Refuse a partition without rows where the one before had some: its input is more likely late than empty."""
    if rows_before:
        raise RunFailed(
            f"The partition has no rows, and the one before it has {rows_before:,}. Nothing was published. "
            "See whether its input is there; if it is empty on purpose, set allow_empty."
        )


def _judge(
    run: Run, watch: Watch, join: Join, shelf: Folder | Catalogued
) -> list[Finding]:
    history = shelf.profiles(watch.checks.nights) if watch.profile else []
    answered = join.by_status.get(str(Status.ANSWERED), 0)
    return judge(
        watch,
        expected=run.rows,
        answered=answered,
        repeats=watch.repeats,
        history=history,
    )


def _rows(
    run: Run, ledger: Ledger, part: int, columns: list[str] | None = None
) -> Iterator[pa.RecordBatch]:
    return parquet.batches(
        ledger.store, keys.rows(run.snapshot, part), columns, BATCH_ROWS
    )


def _write(
    run: Run,
    ledger: Ledger,
    found: Evidence,
    watch: Watch,
    shelf: Folder | Catalogued,
    stack: ExitStack,
) -> tuple[Store, Join, list[parquet.Sheet]]:
    """Upload all files of the partition without publishing one."""
    first = parquet.file(ledger.store, keys.rows(run.snapshot, 0)).schema_arrow
    join = Join(run.answer, [first.field(name) for name in run.kept])
    require_categories(watch.checks, join.schema)
    store, schema = shelf.open(join.schema)
    made = list[parquet.Sheet]()
    layout = parquet.Layout(
        unique=[REQUEST_ID, *(run.key if len(run.key) == 1 else ())]
    )
    folder = locations.folder(run.partition)
    with Behind() as behind:
        for window in ahead(found.windows()):
            join.turn(window.answers, found.used[window.same])
            for batch in ahead(_rows(run, ledger, window.part)):
                if join.rows >= len(made) * FILE_ROWS:
                    if made:
                        behind.do(made[-1].close)
                    key = keys.part(folder, found.name, len(made))
                    made.append(
                        stack.enter_context(parquet.Sheet(store, key, schema, layout))
                    )
                behind.do(
                    made[-1].write, shelf.fill(watch.see(join.join(batch)), schema)
                )
            found.close(window, join.uses)
        watch.close(
            lambda: (
                rows
                for part in range(run.parts)
                for rows in _rows(run, ledger, part, run.key)
            )
        )
    if not made:
        made.append(
            stack.enter_context(
                parquet.Sheet(store, keys.part(folder, found.name, 0), schema)
            )
        )
    made[-1].close()
    return store, join, made


def _replace(
    partition: str,
    target: Store,
    made: list[parquet.Sheet],
    summary: report.Report,
    schema: pa.Schema,
) -> None:
    folder = locations.folder(partition)
    success = folder + locations.SUCCESS
    names = {sheet.key for sheet in made}
    digest = hashlib.sha256(schema.serialize()).hexdigest()[:16]
    marker.refuse_foreign(target, folder)
    old = [
        entry.key
        for entry in target.children(folder)
        if keys.is_part(entry.key.removeprefix(folder))
    ]
    if set(old) == names and _stands(target, success, names, digest):
        return
    target.remove([success])
    reach("old _SUCCESS removed")
    target.remove(key for key in old if key not in names)
    reach("old files removed")
    for sheet in made:
        sheet.commit()
        reach("file published")
    content = {**summary, "files": sorted(names), "schema_hash": digest}
    if not target.create(success, msgspec.json.encode(content)) and not _stands(
        target, success, names, digest
    ):
        _withdraw(target, success, names)
        raise StoreError(
            f"{target.url}{success}: somebody else has published at the same time. Publish again."
        )
    reach("_SUCCESS written")


def _withdraw(target: Store, success: str, names: set[str]) -> None:
    """Remove our files from a partition that another has published meanwhile, but for those that are its own too."""
    theirs = marker.read(target, success.removesuffix(locations.SUCCESS))
    target.remove(sorted(names - set(theirs.files if theirs else [])))


def _stands(target: Store, success: str, names: set[str], digest: str) -> bool:
    """Tell whether just these files are published already: then the partition is left untouched."""
    content = marker.read(target, success.removesuffix(locations.SUCCESS))
    return content is not None and (set(content.files), content.schema_hash) == (
        names,
        digest,
    )


def _report(
    run: Run, found: Evidence, join: Join, started: datetime, now: datetime
) -> report.Report:
    facts, sums = found.facts, found.sums
    tokens = totals.tokens(facts)
    reuse, duplicates = (
        None if one is None else Decimal(one) / MICRO
        for one in (sums.reuse, sums.duplicates)
    )
    saved = report.Saved(
        totals.saved_by_batch(facts), totals.saved_by_cache(facts), reuse, duplicates
    )
    return {
        "rows": join.rows,
        "requests": sums.requests,
        "reused": sums.reused,
        "bought": sums.bought,
        "answered": join.by_status.get(str(Status.ANSWERED), 0),
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
