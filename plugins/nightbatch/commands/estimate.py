"""Print what enriching a dataset would cost, before one schedules anything. Nothing is bought and nothing is written.

The parameters are those of a run: each as a flag, or all as one JSON object by --conf, which flags override. A text
that begins with @ names a file; a prompt file may hold the system part, a line ---, and the user part. Requests that
the target's state has answers for cost nothing, and its history makes the estimate a better one; --table has the state
that --state names. A target that a run would refuse, since another program has files there, is refused. Without an API
key tokens are guessed from lengths. The exit code is 1 where a cap would refuse the purchase.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from nightbatch.airflow.connections import policy
from nightbatch.commands import _ports
from nightbatch.errors import SettingsError
from nightbatch.spec.enrichment import Enrichment, Prompt

TEXTS = (
    "source",
    "target",
    "partition",
    "system",
    "prompt",
    "model",
    "canary",
    "state",
    "table",
    "iceberg_conn_id",
)
NAMES = ("key", "keep", "allow_params", "media_roots", "approvers")
NO_FLAGS = ("answer", "anthropic_conn_id", "aws_conn_id")
NOWHERE = "s3://nightbatch/estimate/"
"""Stands for the target where none is given, and for the state of a table: there is no history then."""


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "--conf",
        default="{}",
        metavar="JSON",
        help="parameters as one object, or @file",
    )
    for one in fields(Enrichment):
        if one.name not in NO_FLAGS:
            names = dict.fromkeys([f"--{one.name.replace('_', '-')}", f"--{one.name}"])
            parser.add_argument(*names, dest=one.name, metavar=_metavar(one.name))
    _ports.arguments(parser)


def run(given: Namespace) -> int:
    """Print the estimate."""
    from nightbatch.io.overlay import Overlay
    from nightbatch.ledger.ledger import Ledger
    from nightbatch.ledger.state import with_state
    from nightbatch.plan.offer import quote
    from nightbatch.prepare.media_fetch import fetcher
    from nightbatch.prepare.prepare import prepare
    from nightbatch.spec.media_roots import MediaRoots
    from nightbatch.spec.run import reference

    job = enrichment(given)
    job = replace(job, max_cost_usd=policy().cap(job.max_cost_usd))
    job.check()
    job = policy().narrowed(job)
    below = None
    notes = _check_target(job, given)
    if _has_state(job):
        job = with_state(job, lambda url: _ports.store(url, given))
        below = _ports.store(job.state_url, given)
    state = Overlay(job.state_url, below)
    fetch = fetcher(
        lambda url: _ports.store(url, given),
        MediaRoots.read(job.media_roots, job.source),
    )
    staged = prepare(job, _ports.store(job.source_root, given), state, fetch)
    key = given.anthropic_conn or os.environ.get("ANTHROPIC_API_KEY")
    counts = _ports.batches(given).count_tokens if key else None
    offer = quote(
        reference(job, staged, "estimate"),
        Ledger(state),
        lambda: datetime.now(UTC),
        counts,
    )
    print("\n".join(told(job, staged.rows, offer, notes)))
    return 1 if offer.refusal else 0


def enrichment(given: Namespace) -> Enrichment:
    """Read the parameters."""
    conf = _json("conf", _text(given.conf))
    if not isinstance(conf, dict):
        raise SettingsError("conf: must be a JSON object.")
    flags = {one.name: getattr(given, one.name, None) for one in fields(Enrichment)}
    params = {
        **conf,
        **{
            name: _value(name, text) for name, text in flags.items() if text is not None
        },
    }
    target = NOWHERE
    if params.get("table"):
        target = ""
        params["state"] = params.get("state") or NOWHERE
    blank = Enrichment(source="", target=target, prompt="", model="").override(
        {name: value for name, value in params.items() if name != "prompt"}
    )
    prompt = params.get("prompt") or ""
    file = (
        Prompt.parse(_text(prompt))
        if str(prompt).startswith("@")
        else Prompt(user=prompt)
    )
    return blank.override(
        {"prompt": file.user, "system": blank.system_text or file.system}
    )


def _has_state(job: Enrichment) -> bool:
    """Tell whether earlier runs may have left a state: one is named, or the target that it stands beside."""
    return (job.state or job.target) != NOWHERE


def _check_target(job: Enrichment, given: Namespace) -> list[str]:
    """Refuse a target that a run would refuse; return what to note where the target may not be read."""
    from nightbatch.errors import StoreDenied
    from nightbatch.prepare.prepare import check_target

    if job.target == NOWHERE:
        return []
    try:
        check_target(job, lambda url: _ports.store(url, given))
    except StoreDenied:
        return [
            "these credentials may not read the target, so it was not checked for files of other programs"
        ]
    return []


def told(
    job: Enrichment, rows: int, offer: Any, notes: Sequence[str] = ()
) -> Iterator[str]:
    """Lay the estimate out as a table."""
    from nightbatch.money.estimate import usd
    from nightbatch.money.prices import prices

    made = offer.estimate
    full = None if made.expected is None else made.expected / prices().batch_factor
    lines = {
        "source": job.source_url,
        "model": job.model,
        "rows": f"{rows:,}",
        "different requests": f"{offer.asked:,}",
        "answered already": f"{offer.reused:,}",
        "in flight": f"{offer.in_flight:,}",
        "to be bought": f"{made.requests:,}",
        "input tokens": f"about {made.input_tokens:,}",
        "output tokens": f"about {made.output_tokens:,}",
        "expected": usd(made.expected),
        "at most": usd(made.at_most),
        "outside a batch": usd(full),
        "found by": made.how,
        "prices of": f"{prices().as_of}, {prices().source}",
    }
    yield from (f"{name:<20}{value}" for name, value in lines.items())
    yield from (f"{'note':<20}{note}" for note in (*offer.notes, *notes))
    if offer.refusal:
        yield f"{'refused':<20}{offer.refusal}"


def _value(name: str, text: str) -> Any:
    if name == "prompt":
        return text
    if name in TEXTS:
        return _text(text)
    if name in NAMES and not text.startswith("["):
        return [one for one in text.split(",") if one]
    return _json(name, _text(text))


def _text(given: str) -> str:
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{given[1:]} cannot be read: {error}") from None


def _json(name: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise SettingsError(f"{name}: {text[:40]!r} is not JSON.") from None


def _metavar(name: str) -> str:
    return "TEXT" if name in TEXTS else "NAME,…" if name in NAMES else "JSON"
