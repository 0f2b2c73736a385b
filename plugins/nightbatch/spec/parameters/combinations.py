"""Checks what one value cannot show: parameters that are missing, and those that make no sense together."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from nightbatch.errors import SettingsError
from nightbatch.spec.checks import Checks
from nightbatch.spec.parameters.answers import field_names
from nightbatch.spec.parameters.descriptions import DESCRIPTIONS
from nightbatch.spec.parameters.output_columns import OUR_COLUMNS
from nightbatch.spec.parameters.parameter import REQUIRED
from nightbatch.spec.parameters.prompts import EMPTY
from nightbatch.wording import did_you_mean

if TYPE_CHECKING:
    from nightbatch.spec.enrichment import Enrichment

SHAPING = {"key", "keep", "answer_schema"}
"""Parameters that say which columns the output has."""


def check_complete(settings: Enrichment, declared: Collection[str] = ()) -> None:
    """Raise SettingsError for a parameter that is missing.

    `declared`: names that a run sets, since the DAG has a Param of each.
    """
    for name in _missing(settings):
        if name in declared:
            continue
        if name == "prompt":
            raise SettingsError(EMPTY)
        if name == "state":
            raise SettingsError(
                "state: is needed with table, such as s3://lake/_nightbatch/ticket_triage/."
            )
        example = DESCRIPTIONS[name].example
        raise SettingsError(f"{name}: is missing; write one such as {example!r}.")


def check_authored(settings: Enrichment, declared: Collection[str]) -> None:
    """Raise SettingsError for what an author has written in a DAG and no run can use.

    `declared`: names of the DAG's Params, which a run may set.
    """
    check_complete(settings, declared)
    cap = settings.max_cost_usd
    threshold = settings.approve_above_usd
    is_never_asked = cap is not None and threshold is not None and threshold > cap
    if is_never_asked:
        raise SettingsError(
            f"approve_above_usd: {threshold:g} is above max_cost_usd: {cap:g}, beyond which nothing is bought: nobody"
            " would ever be asked. Lower it, or leave it out."
        )
    _check_drift(settings, declared)
    may_ask = threshold is not None or "approve_above_usd" in declared
    if settings.approvers and not may_ask:
        raise SettingsError(
            "approvers: nobody is asked without approve_above_usd; give it too, or leave this out."
        )


def _check_drift(settings: Enrichment, declared: Collection[str]) -> None:
    """Refuse a check of drift in columns that the output will not have, unless a run may name other columns."""
    if SHAPING & set(declared):
        return
    columns = Checks.read(settings.checks).columns
    output_names = {*settings.kept, *field_names(settings), *OUR_COLUMNS}
    if missing_names := [name for name in columns if name not in output_names]:
        meant = did_you_mean(missing_names[0], output_names)
        raise SettingsError(
            f"checks: drift names {', '.join(missing_names)}, which is no column of the output.{meant}"
        )


def _missing(settings: Enrichment) -> list[str]:
    """Name the parameters that a run needs and that are empty."""
    needed_names = list(REQUIRED)
    if settings.table:
        needed_names[needed_names.index("target")] = "state"
    return [name for name in needed_names if not getattr(settings, name)]
