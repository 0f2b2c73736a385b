"""Publish rows joined with their answers as the partition, `_SUCCESS` last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal

import msgspec

from nightbatch.errors import RunFailed
from nightbatch.failpoints import reach
from nightbatch.ledger import cancellation, keys, lease, marker
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.marker import Profile
from nightbatch.messages.outcome import Status, most_common_error
from nightbatch.money import cache, totals
from nightbatch.money.prices import prices
from nightbatch.money.warnings import warnings_after
from nightbatch.ports import Store, Table
from nightbatch.publish import report, schema_changes
from nightbatch.publish.find_publication import publication
from nightbatch.publish.join import Join
from nightbatch.publish.output import Output, write
from nightbatch.publish.publication import Publication
from nightbatch.publish.quality import Finding, QualityProbe, findings, require_passed
from nightbatch.publish.targets.folder_target import FolderTarget
from nightbatch.publish.targets.table_target import TableTarget
from nightbatch.publish.winners import PICOS_PER_USD
from nightbatch.spec import locations
from nightbatch.spec.checks import Checks
from nightbatch.spec.run import Run
from nightbatch.spec.run_ref import RunRef


def publish(
    ref: RunRef,
    ledger: Ledger,
    target: Store | Table,
    now: Callable[[], datetime],
    started: datetime,
) -> report.Report:
    """Publish a run's partition and return its report.

    Raises RunFailed, with nothing published, below min_answered or if a red check has not passed; RunCanceled.
    """
    cancellation.refuse(ledger, ref.buyer)
    run = ledger.run(ref.snapshot)
    probe = QualityProbe(Checks.read(ref.rules.checks), run.key)
    destination = _destination(target, run.partition)
    run_publication = publication(ref, run, ledger)
    with ExitStack() as stack:
        output = Output(destination, run_publication, stack)
        join = write(output, probe)
        require_enough(ref, join.by_status, join.errors)
        if not join.rows and not ref.rules.allow_empty:
            require_rows(destination.rows_before())
        reach("files uploaded")
        held_lease = lease.hold(
            ledger.store, now, holder=ref.buyer, seconds=ledger.lease_seconds
        )
        stack.enter_context(held_lease)
        check_findings = _check(run, probe, join, destination)
        require_passed(check_findings)
        summary = _report(run, run_publication, join, started, now())
        new_columns = schema_changes.columns(join.schema)
        summary["schema_changes"] = _column_changes(destination, new_columns)
        summary["checks"] = [finding.to_json() for finding in check_findings]
        content = {**summary, "profile": probe.profile, "columns": new_columns}
        output.replace_partition(content)
    _keep_report(run, ledger, summary)
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
    min_answered = ref.rules.min_answered
    least_answered = min_answered * total
    if not total:
        return
    if answered > 0 and answered >= least_answered:
        return
    status_counts = _most_first(rows)
    error = most_common_error(errors)
    raise RunFailed(
        f"{answered:,} of {total:,} rows were answered, below min_answered={min_answered}: "
        f"{status_counts}. The most common error: {error}; the words are in column error of "
        f"{ref.state}{keys.LANDED}. Nothing was published; answers that were bought are kept, and a rerun sends "
        f"only what is lost.{_advice(rows)}"
    )


def _advice(rows: Mapping[str, int]) -> str:
    """Return what to do about rows that are truncated, after a space; nothing where none is."""
    truncated = rows.get(str(Status.TRUNCATED), 0)
    if not truncated:
        return ""
    return " Raise max_tokens for those that are truncated."


def _most_first(status_counts: Mapping[str, int]) -> str:
    """List counts by status, the largest first."""
    ordered_counts = sorted(status_counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{count:,} {status}" for status, count in ordered_counts)


def require_rows(rows_before: int) -> None:
    """Raise RunFailed for an empty partition if the one before had rows: its input is more likely late than empty."""
    if rows_before:
        raise RunFailed(
            f"The partition has no rows, and the one before it has {rows_before:,}. Nothing was published. "
            "Check whether its input is there; if it is empty on purpose, set allow_empty."
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


def _column_changes(
    destination: FolderTarget | TableTarget, new_columns: schema_changes.Columns
) -> list[str]:
    """Describe how the columns differ from those of the partition before; nothing where there is none."""
    old_columns = destination.columns_before()
    if not old_columns:
        return []
    return schema_changes.changes(old_columns, new_columns)


def _keep_report(run: Run, ledger: Ledger, summary: report.Report) -> None:
    """Write the report into the state, once."""
    report_key = keys.report(run.partition, run.snapshot)
    report_body = msgspec.json.encode(summary, order="sorted")
    ledger.store.create(report_key, report_body)


def _answered(join: Join) -> int:
    return join.by_status.get(str(Status.ANSWERED), 0)


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
        "other_cost_usd": float(Decimal(run_publication.other_cost()) / PICOS_PER_USD),
        "saved_usd": saved.to_json(),
        "cache_hit_rate": cache.hit_rate(tokens),
        "full_price_requests": sum(fact.full_price for fact in facts),
        "warnings": warnings_after(prices(), run, facts, now.date()),
        "seconds": round((now - started).total_seconds(), 1),
        "partition": run.partition,
        "snapshot": run.snapshot,
        "target": run.target,
    }


def _dollars(amount: int | None) -> Decimal | None:
    """Convert 10^-12 USD to USD."""
    return None if amount is None else Decimal(amount) / PICOS_PER_USD
