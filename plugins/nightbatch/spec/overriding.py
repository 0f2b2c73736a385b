"""What a run may change of an `Enrichment`: what the DAG declares as a Param, and no limit to a weaker one."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from nightbatch.errors import SettingsError
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.media_roots import MediaRoots
from nightbatch.wording import known_instead, quoted

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
Params = Mapping[str, Any]
"""What a run sets, by name."""
NAMES = frozenset(field.name for field in fields(Enrichment)) - {"answer"}


def of_author(
    enrichment: Enrichment, params: Params, declared: Collection[str]
) -> Enrichment:
    """Return an author's enrichment with what a run changes of it.

    `declared`: the names of the DAG's Params. A cap is only lowered, media_roots only narrowed, and null keeps the
    author's. Raises SettingsError for a name that is not declared, and for one that only the author sets.
    """
    _refuse_undeclared(params, declared)
    _refuse_changed(enrichment, params)
    changeable_names = NAMES - KEPT
    changes = {
        name: _limited(enrichment, name, value)
        for name, value in params.items()
        if name in changeable_names
    }
    if "media_roots" in changes and changes["media_roots"] is None:
        del changes["media_roots"]
    changed = enrichment.override(changes)
    if "media_roots" in changes:
        _refuse_wider(enrichment, changed)
    return changed


def of_form(blank: Enrichment, params: Params, declared: Collection[str]) -> Enrichment:
    """Return the enrichment that a run's parameters describe.

    A declared name that no enrichment has is the DAG's own, and skipped. Raises SettingsError for a name that is not
    declared, and for what only an author may set.
    """
    _refuse_unknown(params, declared)
    authors_names = sorted(AUTHORS_ONLY & params.keys())
    barred_names = [name for name in authors_names if params[name]]
    if barred_names:
        raise SettingsError(
            f"{', '.join(barred_names)}: only an Enrichment in a DAG's code may set this."
        )
    _refuse_undeclared(params, declared)
    changeable_names = NAMES - AUTHORS_ONLY
    changes = {
        name: value for name, value in params.items() if name in changeable_names
    }
    return blank.override(changes)


def _refuse_unknown(params: Params, declared: Collection[str]) -> None:
    declared_names = set(declared)
    unknown_names = sorted(params.keys() - NAMES - declared_names)
    if not unknown_names:
        return
    known_names = sorted(NAMES & declared_names)
    instead = known_instead(unknown_names[0], known_names)
    raise SettingsError(f"unknown parameter {quoted(unknown_names)}.{instead}")


def _refuse_changed(enrichment: Enrichment, params: Params) -> None:
    """Refuse a value for what only the author sets, unless it is the author's own."""
    kept_names = KEPT & params.keys()
    for name in sorted(kept_names):
        value = params[name]
        if not value:
            continue
        own_value = getattr(enrichment, name)
        if not _is_same(value, own_value):
            raise SettingsError(
                f"{name}: only the author of the DAG sets this, in its Enrichment. Leave it empty."
            )


def _refuse_undeclared(params: Params, declared: Collection[str]) -> None:
    undeclared_names = sorted(params.keys() - set(declared))
    if undeclared_names:
        raise SettingsError(
            f"{', '.join(undeclared_names)}: the DAG does not let a run change it. "
            "Its author can, with a Param of that name in the DAG's params."
        )


def _refuse_wider(author: Enrichment, changed: Enrichment) -> None:
    """Refuse media_roots that lie outside the author's; where the author names none, outside the default."""
    allowed_roots = MediaRoots.read(author.media_roots, author.source)
    changed_roots = MediaRoots.read(changed.media_roots, changed.source)
    if not allowed_roots.contains(changed_roots):
        raise SettingsError(
            "media_roots: a run may only choose folders below those of the DAG's author."
        )


def _is_same(value: Any, own_value: Any) -> bool:
    """Tell whether a run's value is the author's; a form sends a tuple as a list."""
    if isinstance(value, list) and isinstance(own_value, tuple):
        own_value = list(own_value)
    return bool(value == own_value)


def _limited(enrichment: Enrichment, name: str, value: Any) -> Any:
    """Keep an author's limit where a run's own is weaker; what is not a number is left to the check of parameters."""
    if name not in ONLY_LOWER | ONLY_HIGHER:
        return value
    own_limit = getattr(enrichment, name)
    if value is None:
        return own_limit
    if own_limit is None or not _is_number(value):
        return value
    if name in ONLY_LOWER:
        return min(own_limit, value)
    return max(own_limit, value)


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_nan = isinstance(value, float) and math.isnan(value)
    return is_number and not is_nan
