"""Print what enriching a dataset would cost, before anything is scheduled. Nothing is bought and nothing is written.

The parameters are those of a run: of an Enrichment in a file, such as a DAG's; in one JSON object, --conf, which
overrides them; and each as a flag, which overrides both. A text
that begins with @ names a file; a prompt file may hold the system part, a line ---, and the user part. Requests that
the target's state has answers for cost nothing, and its history improves the estimate; for --table, the state is what
--state names. A target that a run would refuse, because another program has files there, is refused. Without an API
key, tokens are estimated from lengths. The exit code is 1 if a cap would refuse the purchase.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import Field, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nightbatch.airflow.connections import policy
from nightbatch.commands import _enrichments, _ports, _printing
from nightbatch.errors import SettingsError
from nightbatch.ledger import keys
from nightbatch.ledger.ledger import Ledger
from nightbatch.spec.enrichment import Enrichment, Prompt
from nightbatch.spec.locations import named_partition
from nightbatch.spec.parameters.descriptions import DESCRIPTIONS

if TYPE_CHECKING:
    from nightbatch.io.s3 import S3Store
    from nightbatch.ports import Store

_TEXT_TYPES = ("str", "str | None", "Prompt | str")
_LIST_TYPES = ("Sequence[str]", "Sequence[str] | None")
TEXTS = {field.name for field in fields(Enrichment) if field.type in _TEXT_TYPES}
"""Parameters whose value is the text of the flag."""
LISTS = {field.name for field in fields(Enrichment) if field.type in _LIST_TYPES}
"""Parameters that take names, separated by commas; all others take JSON."""
NO_FLAGS = ("answer", "anthropic_conn_id", "aws_conn_id")
NOWHERE = "s3://nightbatch/estimate/"
"""The target if none is set, and the state of a table if none is set: there is no history then."""


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    _enrichments.argument(parser)
    parser.add_argument(
        "--conf",
        default="{}",
        metavar="JSON",
        help="parameters as one object, or @file",
    )
    for parameter in _parameters():
        name = parameter.name
        if name not in NO_FLAGS:
            parser.add_argument(
                *_flags(name),
                dest=name,
                metavar=_metavar(name),
                help=DESCRIPTIONS[name].text,
            )
    _ports.arguments(parser)
    _printing.argument(parser)


def _parameters() -> list[Field[Any]]:
    """List the attributes of an enrichment: what it asks of which data, then the rules by which it buys."""
    return sorted(fields(Enrichment), key=lambda parameter: parameter.kw_only is True)


def _flags(name: str) -> list[str]:
    """Spell a flag with dashes and with underscores."""
    dashed_name = name.replace("_", "-")
    if dashed_name == name:
        return [f"--{name}"]
    return [f"--{dashed_name}", f"--{name}"]


def run(options: Namespace) -> int:
    """Print the estimate."""
    from nightbatch.io.overlay import Overlay
    from nightbatch.ledger.state import with_state
    from nightbatch.plan.offer import quote
    from nightbatch.prepare.media_fetch import fetcher
    from nightbatch.prepare.prepare import prepare
    from nightbatch.spec.media_roots import MediaRoots
    from nightbatch.spec.run import reference

    def open_store(url: str) -> S3Store:
        return _ports.store(url, options)

    job = _permitted(_of_partition(enrichment(options)))
    target_notes = _check_target(job, options)
    present_state = None
    if _has_state(job):
        job = with_state(job, open_store)
        present_state = open_store(job.state_url)
    state = Overlay(job.state_url, present_state)
    media_roots = MediaRoots.read(job.media_roots, job.source)
    fetch_media = fetcher(open_store, media_roots)
    staged_run = prepare(job, open_store(job.source_root), state, fetch_media)
    count_tokens = _token_counter(options)
    run_ref = reference(job, staged_run, "estimate")
    offer = quote(run_ref, Ledger(state), _now, count_tokens)
    version_notes = _version_notes(job, staged_run.question, present_state)
    offer = replace(offer, notes=(*offer.notes, *target_notes, *version_notes))
    result = estimate_values(job, staged_run.rows, offer)
    _printing.show(options, result, estimate_lines(job, staged_run.rows, offer))
    return 1 if offer.refusal else 0


def _permitted(job: Enrichment) -> Enrichment:
    """Check the parameters, and limit them to what the deployment's policy allows."""
    deployment_policy = policy()
    capped_job = replace(job, max_cost_usd=deployment_policy.cap(job.max_cost_usd))
    capped_job.check()
    return deployment_policy.narrowed(capped_job)


def _of_partition(job: Enrichment) -> Enrichment:
    """Fill in the partition's key; without one it is yesterday's, as in a run."""
    partition = named_partition(job.partition, None, _now().date())
    return replace(job, partition=partition)


def _version_notes(job: Enrichment, question: str, state: Store | None) -> list[str]:
    """Say that there are answers which do not count, because another prompt, schema, model or parameter was used."""
    if state is None or not job.reuse:
        return []
    answered = {entry.key for entry in Ledger(state).store.list(keys.QUESTIONS)}
    if not answered or keys.question(question) in answered:
        return []
    return [
        "the target has answers of another version (another prompt, answer schema, model or parameters); they do not "
        "count here. If the DAG's next run is meant, name its file: it knows the answer schema"
    ]


def _token_counter(options: Namespace) -> Callable[[dict[str, Any]], int] | None:
    """Return what counts tokens; None without an API key."""
    has_key = options.anthropic_conn or os.environ.get("ANTHROPIC_API_KEY")
    if not has_key:
        return None
    return _ports.batches(options).count_tokens


def _now() -> datetime:
    return datetime.now(UTC)


def enrichment(options: Namespace) -> Enrichment:
    """Read the parameters: of the file, then of --conf, then of the flags."""
    conf = _json("conf", _text(options.conf))
    if not isinstance(conf, dict):
        raise SettingsError("conf: must be a JSON object.")
    params = {**conf, **_flag_values(options)}
    if options.file:
        return _changed(_enrichments.of_file(options.file), params)
    default_target = NOWHERE
    if params.get("table"):
        default_target = ""
        params["state"] = params.get("state") or NOWHERE
    blank = Enrichment(source="", target=default_target, prompt="", model="")
    return _changed(blank, {"prompt": "", **params})


def _changed(job: Enrichment, params: dict[str, Any]) -> Enrichment:
    """Return an enrichment with these parameters in place of its own; a prompt may be that of a file."""
    prompt_text = params.pop("prompt", None)
    changed_job = job.override(params)
    if prompt_text is None:
        return changed_job
    prompt = _prompt(prompt_text)
    system_text = params.get("system") or prompt.system
    return changed_job.override({"prompt": prompt.user, "system": system_text})


def _flag_values(options: Namespace) -> dict[str, Any]:
    """Read the parameters that are set by flags."""
    values_by_name = {}
    for parameter in fields(Enrichment):
        flag_text = getattr(options, parameter.name, None)
        if flag_text is not None:
            values_by_name[parameter.name] = _value(parameter.name, flag_text)
    return values_by_name


def _prompt(text: str) -> Prompt:
    """Read a prompt: the text itself, or @ and the name of a file that may also hold the system part."""
    if str(text).startswith("@"):
        return Prompt.parse(_text(text))
    return Prompt(user=text)


def _has_state(job: Enrichment) -> bool:
    """Tell whether earlier runs may have left a state: it is named, or the target that it is next to is."""
    return (job.state or job.target) != NOWHERE


def _check_target(job: Enrichment, options: Namespace) -> list[str]:
    """Refuse a target that a run would refuse; return a note if the target may not be read."""
    from nightbatch.errors import StoreDenied
    from nightbatch.prepare.prepare import check_target

    if job.target == NOWHERE:
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


def _value(name: str, text: str) -> Any:
    if name == "prompt":
        return text
    if name in TEXTS:
        return _text(text)
    if name in LISTS and not text.startswith("["):
        return [item for item in text.split(",") if item]
    return _json(name, _text(text))


def _text(text: str) -> str:
    """Return a text, or the contents of the file that it names after an @."""
    if not text.startswith("@"):
        return text
    file_name = text[1:]
    try:
        return Path(file_name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file_name} cannot be read: {error}") from None


def _json(name: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise SettingsError(f"{name}: {text[:40]!r} is not JSON.") from None


def _metavar(name: str) -> str:
    if name in TEXTS:
        return "TEXT"
    return "NAME,…" if name in LISTS else "JSON"
