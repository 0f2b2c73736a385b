"""What a run may change of an `Enrichment` that an author has written: what the DAG declares, and no limit upward."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from nightbatch.core.enrichment import Enrichment
from nightbatch.core.errors import SettingsError

AUTHORS_ONLY = frozenset({"approvers", "allow_params"})
"""Attributes that no run may set: they say who may decide and what may be billed besides tokens."""
ONLY_LOWER = frozenset({"max_cost_usd", "max_monthly_cost_usd", "approve_above_usd", "approve_within_hours", "limit"})
ONLY_HIGHER = frozenset({"min_answered"})


def of_author(enrichment: Enrichment, params: Mapping[str, Any], declared: Collection[str]) -> Enrichment:
    """Return an author's enrichment with what a run changes of it.

    `declared`: the names of the DAG's Params. A cap is only lowered, and null keeps the author's. Raises SettingsError
    for a name that is not declared.
    """
    names = _names()
    if undeclared := sorted(params.keys() - set(declared)):
        raise SettingsError(
            f"{', '.join(undeclared)}: the DAG does not let a run change it. "
            "Its author can, with a Param of that name in the DAG's params."
        )
    changes = {name: value for name, value in params.items() if name in names - AUTHORS_ONLY}
    return enrichment.override({name: _limited(enrichment, name, value) for name, value in changes.items()})


def of_form(params: Mapping[str, Any], blank: Enrichment) -> Enrichment:
    """Return the enrichment that a run's parameters describe. Raises SettingsError for what only an author may set."""
    if barred := sorted(name for name in AUTHORS_ONLY & params.keys() if params[name]):
        raise SettingsError(f"{', '.join(barred)}: only an Enrichment in a DAG's code may set this.")
    return blank.override({name: value for name, value in params.items() if name not in AUTHORS_ONLY})


def _limited(enrichment: Enrichment, name: str, value: Any) -> Any:
    """Keep an author's limit where a run's own is weaker; what is no number is left to the check of parameters."""
    own = getattr(enrichment, name)
    if name not in ONLY_LOWER | ONLY_HIGHER:
        return value
    if value is None:
        return own
    if own is None or not _is_number(value):
        return value
    return min(own, value) if name in ONLY_LOWER else max(own, value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value  # noqa: PLR0124


def _names() -> set[str]:
    return {field.name for field in fields(Enrichment)} - {"answer"}
