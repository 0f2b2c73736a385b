"""The trigger form takes what an `Enrichment` takes, within the same bounds."""

from __future__ import annotations

from copy import copy
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError

from nightbatch import form_params
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.parameters.parameter import Parameter, parameters

FORM = form_params(source="s3://lake/tickets/", prompt="Summarize: {{ body }}")
ALL = [one for one in parameters(Enrichment) if one.name in FORM]
each = pytest.mark.parametrize("parameter", ALL, ids=[one.name for one in ALL])


def takes(name: str, value: Any) -> bool:
    """Tell whether the form takes a value."""
    try:
        copy(FORM[name]).resolve(value)
    except ParamValidationError:
        return False
    return True


@each
def test_the_form_takes_an_example_of_each_parameter(parameter: Parameter) -> None:
    assert takes(parameter.name, parameter.about.example)


@each
def test_the_form_refuses_what_lies_beyond_a_bound(parameter: Parameter) -> None:
    low = parameter.about.low
    high = parameter.about.high
    assert low is None or not takes(parameter.name, low - 1)
    assert high is None or not takes(parameter.name, high + 1)


@each
def test_a_field_has_a_title_a_description_and_a_section(parameter: Parameter) -> None:
    schema = FORM[parameter.name].schema
    assert schema["title"] == parameter.about.title
    assert schema["section"] == parameter.about.section
    assert parameter.about.text in schema["description_md"]


def test_a_field_that_may_be_empty_is_so_until_the_author_fills_it() -> None:
    assert FORM["partition"].value is None
    assert FORM["source"].value == "s3://lake/tickets/"
    assert FORM["max_tokens"].value == 1024
    assert FORM["key"].schema["type"] == ["null", "array"]
    assert FORM["key"].schema["description_md"] == (
        "Columns that identify a row: no nulls, no duplicates. One a line. Empty: rows have no key."
    )


def test_labels_are_those_that_people_know() -> None:
    titles = {name: FORM[name].schema["title"] for name in FORM}
    assert titles["max_cost_usd"] == "Cost cap (USD)"
    assert titles["limit"] == "Sampled rows"
    assert titles["max_tokens"] == "Max tokens"


def test_what_the_form_holds_makes_an_enrichment() -> None:
    form = form_params(
        source="s3://lake/a/",
        target="s3://lake/b/",
        prompt="{{ a }}",
        model="claude-haiku-4-5",
    )
    values = {name: param.resolve() for name, param in form.items()}
    blank = Enrichment(source="", target="", prompt="", model="")
    blank.override(values).check()
