"""Checks an `Enrichment` when it is made: in a DAG file, and again with what a run changes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightbatch.errors import SettingsError
from nightbatch.spec import billed_params
from nightbatch.spec.checks import Checks
from nightbatch.spec.parameters import answers, places, prompts
from nightbatch.spec.parameters.parameter import Parameter, parameters
from nightbatch.spec.parameters.values import check_value

if TYPE_CHECKING:
    from nightbatch.spec.enrichment import Enrichment


def check(settings: Enrichment) -> None:
    """Raise InputError for the first mistake. What is still empty may be set by a run, and is not looked at."""
    for parameter in parameters(settings):
        value = getattr(settings, parameter.name)
        check_value(parameter, value)
        _check_not_blank(parameter, value)
    places.check(settings)
    prompts.check(settings)
    answers.check(settings)
    Checks.read(settings.checks)
    billed_params.check(
        settings.params,
        settings.allow_params,
        capped=settings.has_cap,
        structured=bool(settings.answer or settings.answer_schema),
    )


def _check_not_blank(parameter: Parameter, value: object) -> None:
    """Refuse spaces alone where a value is required; the prompt has a check of its own."""
    name = parameter.name
    if not parameter.is_required or name == "prompt":
        return
    if not isinstance(value, str):
        return
    if value and not value.strip():
        raise SettingsError(f"{name}: is missing; it holds only spaces.")
