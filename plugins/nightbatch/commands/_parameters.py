"""What a command enriches: the parameters of a file's `Enrichment`, of --conf and of flags, each over those before.

A text that begins with @ names a file; a prompt file may hold the system part, a line ---, and the user part.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import Field, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from nightbatch.airflow.connections import policy
from nightbatch.commands import _enrichments
from nightbatch.errors import SettingsError
from nightbatch.spec.enrichment import Enrichment, Prompt
from nightbatch.spec.locations import named_partition
from nightbatch.spec.parameters.descriptions import DESCRIPTIONS
from nightbatch.spec.parameters.parameter import Kind, parameters

_KINDS = {parameter.name: parameter.kind for parameter in parameters(Enrichment)}
TEXTS = {name for name, kind in _KINDS.items() if kind in (Kind.TEXT, Kind.PROMPT)}
"""Parameters whose value is the text of the flag."""
LISTS = {name for name, kind in _KINDS.items() if kind is Kind.NAMES}
"""Parameters that take names, separated by commas; all others take JSON."""
METAVARS = {
    Kind.TEXT: "TEXT",
    Kind.PROMPT: "TEXT",
    Kind.NAMES: "NAME,…",
    Kind.WHOLE: "N",
    Kind.NUMBER: "NUMBER",
    Kind.FLAG: "true|false",
    Kind.OBJECT: "JSON",
}
FORMS = {
    Kind.WHOLE: "a whole number",
    Kind.NUMBER: "a number",
    Kind.FLAG: "true or false",
}
"""How a flag is written whose JSON is so short that nobody thinks of JSON."""
NO_FLAGS = ("answer", "anthropic_conn_id", "aws_conn_id")
NOWHERE = "s3://nightbatch/estimate/"
"""The target if none is set, and the state of a table if none is set: there is no history then."""


def arguments(parser: ArgumentParser) -> None:
    """Add the file, --conf, and a flag for each parameter."""
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
                metavar=METAVARS[_KINDS[name]],
                help=DESCRIPTIONS[name].text,
            )


def _parameters() -> list[Field[Any]]:
    """List the attributes of an enrichment: what it asks of which data, then the rules by which it buys."""
    return sorted(fields(Enrichment), key=lambda parameter: parameter.kw_only is True)


def _flags(name: str) -> list[str]:
    """Spell a flag with dashes and with underscores."""
    dashed_name = name.replace("_", "-")
    if dashed_name == name:
        return [f"--{name}"]
    return [f"--{dashed_name}", f"--{name}"]


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


def of_partition(job: Enrichment, today: date) -> Enrichment:
    """Fill in the partition's key, yesterday's where none is named as in a run, and the deployment's cap."""
    partition = named_partition(job.partition, None, today)
    cap = policy().cap(job.max_cost_usd)
    return replace(job, partition=partition, max_cost_usd=cap)


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
        kind = _KINDS.get(name, Kind.OBJECT)
        form = FORMS.get(kind, "JSON")
        raise SettingsError(f"{name}: {text[:40]!r} is not {form}.") from None
