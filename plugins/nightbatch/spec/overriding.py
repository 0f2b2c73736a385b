"""What a run may change of an `Enrichment`: what the DAG declares as Param, and no limit of its author's upward."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from nightbatch.errors import SettingsError
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.media_roots import MediaRoots

AUTHORS_ONLY = frozenset({"approvers", "allow_params"})
"""Attributes that no run may set: they say who may decide and what may be billed besides tokens."""
KEPT = AUTHORS_ONLY | {"checks"}
"""Attributes of an author's enrichment that stay as they are, declared or not."""
ONLY_LOWER = frozenset(
    {
        "max_cost_usd",
        "max_monthly_cost_usd",
        "approve_above_usd",
        "approve_within_hours",
        "limit",
    }
)
ONLY_HIGHER = frozenset({"min_answered"})
NAMES = frozenset(field.name for field in fields(Enrichment)) - {"answer"}


def of_author(
    enrichment: Enrichment, params: Mapping[str, Any], declared: Collection[str]
) -> Enrichment:
    """Return an author's enrichment with what a run changes of it.

    `declared`: the names of the DAG's Params. A cap is only lowered, media_roots only narrowed, and null keeps the
    author's. Raises SettingsError for a name that is not declared, and for one that only the author sets.
    """
    _refuse_undeclared(params, declared)
    for name in sorted(KEPT & params.keys()):
        if params[name] and not _is_same(params[name], getattr(enrichment, name)):
            raise SettingsError(
                f"{name}: only the author of the DAG sets this, in its Enrichment. Leave it empty."
            )
    chosen = {name: value for name, value in params.items() if name in NAMES - KEPT}
    if chosen.get("media_roots", ()) is None:
        del chosen["media_roots"]
    changed = enrichment.override(
        {name: _limited(enrichment, name, value) for name, value in chosen.items()}
    )
    if "media_roots" in chosen:
        _refuse_wider(enrichment, changed)
    return changed


def of_form(
    blank: Enrichment, params: Mapping[str, Any], declared: Collection[str]
) -> Enrichment:
    """Return the enrichment that a run's parameters describe.

    A declared name that is none of an enrichment's is the DAG's own, and passed over. Raises SettingsError for a name
    that is not declared, and for what only an author may set.
    """
    form = NAMES & set(declared)
    if unknown := sorted(params.keys() - NAMES - set(declared)):
        raise SettingsError(
            f"unknown parameter {', '.join(map(repr, unknown))}. Known: {', '.join(sorted(form))}."
        )
    if barred := sorted(name for name in AUTHORS_ONLY & params.keys() if params[name]):
        raise SettingsError(
            f"{', '.join(barred)}: only an Enrichment in a DAG's code may set this."
        )
    _refuse_undeclared(params, declared)
    return blank.override(
        {name: value for name, value in params.items() if name in NAMES - AUTHORS_ONLY}
    )


def _refuse_undeclared(params: Mapping[str, Any], declared: Collection[str]) -> None:
    if undeclared := sorted(params.keys() - set(declared)):
        raise SettingsError(
            f"{', '.join(undeclared)}: the DAG does not let a run change it. "
            "Its author can, with a Param of that name in the DAG's params."
        )


def _refuse_wider(author: Enrichment, changed: Enrichment) -> None:
    """Refuse media_roots that lie outside the author's; where the author names none, outside the default."""
    allowed = MediaRoots.read(author.media_roots, author.source)
    if not allowed.contains(MediaRoots.read(changed.media_roots, changed.source)):
        raise SettingsError(
            "media_roots: a run may only choose folders below those of the DAG's author."
        )


def _is_same(value: Any, own: Any) -> bool:
    return bool(value == own) or (
        isinstance(value, list)
        and isinstance(own, (list, tuple))
        and value == list(own)
    )


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
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and not math.isnan(value)
    )
