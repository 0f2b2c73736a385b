"""Print what enriching a dataset would cost, before anything is scheduled. Nothing is bought and nothing is written.

The parameters are those of a run: of an Enrichment in a file, such as a DAG's; in one JSON object, --conf, which
overrides them; and each as a flag, which overrides both. A text that begins with @ names a file; a prompt file may hold
the system part, a line ---, and the user part. Requests that the target's state has answers for cost nothing, and its
history improves the estimate; for --table, the state is what --state names. A target that a run would refuse, because
another program has files there, is refused. Without an API key, tokens are estimated from lengths. The exit code is 1
if a cap would refuse the purchase.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nightbatch.airflow.connections import policy
from nightbatch.commands import _parameters, _ports, _printing
from nightbatch.ledger import keys
from nightbatch.ledger.ledger import Ledger
from nightbatch.spec.enrichment import Enrichment

if TYPE_CHECKING:
    from nightbatch.io.s3 import S3Store
    from nightbatch.ports import Store


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    _parameters.arguments(parser)
    _ports.arguments(parser)
    _printing.argument(parser)


def run(options: Namespace) -> int:
    """Print the estimate."""
    from nightbatch.io.overlay import Overlay
    from nightbatch.ledger.state.state import with_state
    from nightbatch.plan.offer import quote
    from nightbatch.prepare.media_fetch import fetcher
    from nightbatch.prepare.prepare import prepare
    from nightbatch.spec.media_roots import MediaRoots
    from nightbatch.spec.run import reference

    def open_store(url: str) -> S3Store:
        return _ports.store(url, options)

    job = _parameters.of_partition(_parameters.enrichment(options), _now().date())
    job.check()
    job = policy().narrowed(job)
    target_notes = _check_target(job, options)
    present_state = None
    if _has_state(job):
        job = with_state(job, open_store)
        present_state = open_store(job.state_url)
    state = Overlay(job.state_url, present_state)
    media_roots = MediaRoots.read(job.media_roots, job.source)
    fetch_media = fetcher(open_store, media_roots)
    staged_run = prepare(job, open_store(job.source_root), state, fetch_media)
    has_key = _ports.has_api_key(options)
    count_tokens = _ports.batches(options).count_tokens if has_key else None
    run_ref = reference(job, staged_run, "estimate")
    offer = quote(run_ref, Ledger(state), _now, count_tokens)
    version_notes = _version_notes(
        job, staged_run.question, present_state, options.file
    )
    offer = replace(offer, notes=(*offer.notes, *target_notes, *version_notes))
    result = estimate_values(job, staged_run.rows, offer)
    _printing.show(options, result, estimate_lines(job, staged_run.rows, offer))
    return 1 if offer.refusal else 0


def _version_notes(
    job: Enrichment, question: str, state: Store | None, file: str | None
) -> list[str]:
    """Say that there are answers which do not count, because another prompt, schema, model or parameter was used.

    `file`: where the enrichment comes from; None: from flags, which a DAG's file may say better.
    """
    if state is None or not job.reuse:
        return []
    answered = {entry.key for entry in Ledger(state).store.list(keys.QUESTIONS)}
    if not answered or keys.question(question) in answered:
        return []
    note = (
        "the target has answers of another version (another prompt, answer schema, model or parameters); they do not "
        "count here"
    )
    if file:
        return [note]
    hint = "If the DAG's next run is meant, name its file: it knows the answer schema"
    return [f"{note}. {hint}"]


def _now() -> datetime:
    return datetime.now(UTC)


def _has_state(job: Enrichment) -> bool:
    """Tell whether earlier runs may have left a state: it is named, or the target that it is next to is."""
    return (job.state or job.target) != _parameters.NOWHERE


def _check_target(job: Enrichment, options: Namespace) -> list[str]:
    """Refuse a target that a run would refuse; return a note if the target may not be read."""
    from nightbatch.errors import StoreDenied
    from nightbatch.prepare.prepare import check_target

    if job.target == _parameters.NOWHERE:
        return []
    try:
        check_target(job, lambda url: _ports.store(url, options))
    except StoreDenied:
        return [
            "these credentials may not read the target, so it was not checked for files of other programs"
        ]
    return []


def estimate_values(job: Enrichment, rows: int, offer: Any) -> dict[str, Any]:
    """Return the estimate as values for a program; money in US dollars, null where it is not known."""
    estimate = offer.estimate
    return {
        "source": job.source_url,
        "model": job.model,
        "rows": rows,
        "requests": offer.asked,
        "reused": offer.reused,
        "in_flight": offer.in_flight,
        "to_buy": estimate.requests,
        "input_tokens": estimate.input_tokens,
        "output_tokens": estimate.output_tokens,
        "expected_usd": _number(estimate.expected),
        "at_most_usd": _number(estimate.at_most),
        "how": estimate.how,
        "notes": list(offer.notes),
        "refused": offer.refusal,
    }


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def estimate_lines(job: Enrichment, rows: int, offer: Any) -> Iterator[str]:
    """Write the estimate as a table."""
    from nightbatch.amounts import usd
    from nightbatch.money.prices import prices

    estimate = offer.estimate
    price_table = prices()
    full_price = None
    if estimate.expected is not None:
        full_price = estimate.expected / price_table.batch_factor
    values_by_name = {
        "source": job.source_url,
        "model": job.model,
        "rows": f"{rows:,}",
        "different requests": f"{offer.asked:,}",
        "answered already": f"{offer.reused:,}",
        "in flight": f"{offer.in_flight:,}",
        "to be bought": f"{estimate.requests:,}",
        "input tokens": f"about {estimate.input_tokens:,}",
        "output tokens": f"about {estimate.output_tokens:,}",
        "expected": usd(estimate.expected),
        "at most": usd(estimate.at_most),
        "outside a batch": usd(full_price),
        "found by": estimate.how,
        "prices of": f"{price_table.as_of}, {price_table.source}",
    }
    for name, value in values_by_name.items():
        yield _table_line(name, value)
    for note in offer.notes:
        yield _table_line("note", note)
    if offer.refusal:
        yield _table_line("refused", offer.refusal)


def _table_line(name: str, value: str) -> str:
    return f"{name:<20}{value}"
