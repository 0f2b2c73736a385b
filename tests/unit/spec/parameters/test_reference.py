"""Each fact of a parameter has one home: class, docstring, page, checks and form say the same."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path

import pytest

from nightbatch.errors import SettingsError
from nightbatch.local.parameters_page import PAGE
from nightbatch.spec import overriding
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.parameters.descriptions import DESCRIPTIONS
from nightbatch.spec.parameters.form import form_fields
from nightbatch.spec.parameters.parameter import Kind, Parameter, parameters
from nightbatch.spec.parameters.reference import page
from nightbatch.spec.parameters.values import check_value

ALL = parameters(Enrichment)
each = pytest.mark.parametrize("parameter", ALL, ids=[one.name for one in ALL])
NUMBERS = [one for one in ALL if one.kind in (Kind.WHOLE, Kind.NUMBER)]
each_number = pytest.mark.parametrize(
    "parameter", NUMBERS, ids=[one.name for one in NUMBERS]
)


def test_every_parameter_of_the_class_is_described() -> None:
    assert set(DESCRIPTIONS) == {field.name for field in fields(Enrichment)}


def test_the_page_is_what_the_class_says() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(Enrichment), "run python -m nightbatch.local.parameters_page"
    assert Path(__file__).parents[4] / "docs" / "parameters.md" == PAGE


def test_help_describes_every_parameter_with_its_unit_and_default() -> None:
    text = " ".join((inspect.getdoc(Enrichment) or "").split())
    for name in DESCRIPTIONS:
        assert f":param {name}: " in text
    assert "(whole number from 1, tokens; default: 1,024)" in text
    assert "(text, URL; required)" in text


@each
def test_a_default_and_an_example_are_values_that_pass(parameter: Parameter) -> None:
    if parameter.kind is not Kind.MODEL:
        check_value(parameter, parameter.about.example)
    if not parameter.is_required:
        check_value(parameter, parameter.default)


@each_number
def test_a_bound_passes_and_what_lies_beyond_does_not(parameter: Parameter) -> None:
    low = parameter.about.low
    assert low is not None
    check_value(parameter, low)
    with pytest.raises(SettingsError, match=f"^{parameter.name}: "):
        check_value(parameter, low - 1)
    high = parameter.about.high
    if high is not None:
        check_value(parameter, high)
        with pytest.raises(SettingsError, match=f"^{parameter.name}: "):
            check_value(parameter, high + 1)


def test_the_form_asks_nothing_that_only_an_author_sets() -> None:
    names = set(form_fields(Enrichment, {}))
    assert names <= overriding.NAMES - overriding.AUTHORS_ONLY
    assert {"source", "target", "prompt", "model", "limit", "max_cost_usd"} <= names
