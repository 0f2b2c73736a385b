"""Every environment variable that nightbatch reads, with its meaning and default.

What a person may set for a deployment stands in `VARIABLES`. The times of a record of seconds, such as `SubmitTiming`,
are variables too: a prefix, the field's name and `_SECONDS`.
"""

from __future__ import annotations

import math
import os
from dataclasses import fields
from typing import NamedTuple, TypeVar

from nightbatch.errors import SettingsError

Record = TypeVar("Record")

ROOTS = "NIGHTBATCH_ROOTS"
CONNECTIONS = "NIGHTBATCH_CONNECTIONS"
MAX_COST_USD = "NIGHTBATCH_MAX_COST_USD"
S3_EXTRA_ARGS = "NIGHTBATCH_S3_EXTRA_ARGS"
ALLOW_HTTP = "NIGHTBATCH_ALLOW_HTTP"
PRICES = "NIGHTBATCH_PRICES"
INCLUDE = "NIGHTBATCH_INCLUDE"
FAILPOINTS = "NIGHTBATCH_FAILPOINTS"
SUBMIT_PREFIX = "NIGHTBATCH_"
POLL_PREFIX = "NIGHTBATCH_POLL_"


class Variable(NamedTuple):
    """One variable: what it means, and what holds where it is not set."""

    meaning: str
    default: str


VARIABLES = {
    ROOTS: Variable(
        "URL prefixes, separated by commas: source, target, state and media addresses must lie below one of them",
        "no limit",
    ),
    CONNECTIONS: Variable(
        "connection ids, separated by commas, that a run may name", "no limit"
    ),
    MAX_COST_USD: Variable("no run may cost more than this", "no limit"),
    S3_EXTRA_ARGS: Variable(
        "JSON that goes with every object written, such as its encryption", "{}"
    ),
    ALLOW_HTTP: Variable(
        "1: an API host by plain http on another machine is allowed", "not allowed"
    ),
    PRICES: Variable(
        "a JSON file of prices that replace ours, model by model", "our own table"
    ),
    INCLUDE: Variable("the folder that holds prompts", "include/ above the DAG's file"),
    FAILPOINTS: Variable(
        "a folder that says where a test kills a process", "no process is killed"
    ),
}
"""By name; the times of a deployment come besides, see `seconds`."""


def read(name: str) -> str:
    """Return what a variable holds, without spaces around it; empty where it is not set."""
    return os.environ.get(name, "").strip()


def seconds(record: type[Record], prefix: str) -> Record:
    """Make a record of seconds from its defaults and the environment: `NIGHTBATCH_SEND_SECONDS` sets its field `send`.

    Raises SettingsError for what is no number of seconds.
    """
    overrides = dict[str, float]()
    for record_field in fields(record):  # type: ignore[arg-type]
        name = f"{prefix}{record_field.name.upper()}_SECONDS"
        text = read(name)
        if text:
            overrides[record_field.name] = _seconds(name, text)
    return record(**overrides)


def _seconds(name: str, text: str) -> float:
    number = amount_of(text)
    if number is None:
        raise SettingsError(
            f"{name}: {text[:40]!r} is not a number of seconds, such as 30 or 0.5."
        )
    return number


def amount_of(text: str) -> float | None:
    """Read a number from 0 on; None where a text is anything else, such as `nan` or `inf`."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None
