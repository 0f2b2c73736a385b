"""Writes down all parameters: as the docstring of the class, and as the page docs/parameters.md."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from nightbatch.spec.parameters.descriptions import SECTIONS
from nightbatch.spec.parameters.parameter import Kind, Parameter, parameters

WIDTH = 116
"""Columns of the docstring."""
_HEAD = """# Parameters

All parameters of an `Enrichment`, which are also those of the form of `enrich_parquet`, of `--conf` and of the flags of
`nightbatch run` and `nightbatch estimate`. A mistake in a DAG file is an import error that names the parameter. This
page is generated from `plugins/nightbatch/spec/parameters/descriptions.py`, by
`python -m nightbatch.local.parameters_page`.
"""
_TABLE_HEAD = """| parameter | value | default | example | meaning |
|---|---|---|---|---|"""
_KIND_WORDS = {
    Kind.TEXT: "text",
    Kind.WHOLE: "whole number",
    Kind.NUMBER: "number",
    Kind.FLAG: "true or false",
    Kind.NAMES: "list of texts",
    Kind.OBJECT: "object",
    Kind.PROMPT: "text or `Prompt`",
    Kind.MODEL: "pydantic model",
}


def docstring(of: Any) -> str:
    """Return the docstring of the class, with a line for each of its parameters."""
    entries = [_entry(parameter) for parameter in parameters(of)]
    return "\n".join([(of.__doc__ or "").rstrip(), "", *entries, ""])


def page(of: Any) -> str:
    """Return the page, in Markdown."""
    return "\n".join([_HEAD, *_sections(of)])


def _sections(of: Any) -> Iterator[str]:
    every_parameter = parameters(of)
    for section in SECTIONS:
        rows = [
            _row(parameter)
            for parameter in every_parameter
            if parameter.about.section == section
        ]
        yield "\n".join([f"## {section}", "", _TABLE_HEAD, *rows, ""])


def _entry(parameter: Parameter) -> str:
    """Return the lines of the docstring that describe one parameter."""
    value_words = value(parameter)
    default_words = default(parameter)
    is_required = parameter.is_required
    default_note = default_words if is_required else f"default: {default_words}"
    text = f":param {parameter.name}: {parameter.about.text} ({value_words}; {default_note})"
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent="    ",
        subsequent_indent="        ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _row(parameter: Parameter) -> str:
    example = parameter.about.example
    is_model = parameter.kind is Kind.MODEL
    shown_example = example if is_model else json.dumps(example)
    cells = [
        f"`{parameter.name}`",
        value(parameter),
        default(parameter),
        f"`{shown_example}`",
        parameter.about.text,
    ]
    escaped_cells = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(escaped_cells)} |"


def value(parameter: Parameter) -> str:
    """Say what a value is, such as `whole number from 1 to 5, tokens`."""
    about = parameter.about
    if about.choices:
        return " or ".join(f"`{choice}`" for choice in about.choices)
    words = _KIND_WORDS[parameter.kind]
    if about.low is not None:
        words += f" from {about.low:,}"
    if about.high is not None:
        words += f" to {about.high:,}"
    return f"{words}, {about.unit}" if about.unit else words


def default(parameter: Parameter) -> str:
    """Say what holds where a parameter is not given."""
    default_value = parameter.default
    if parameter.name == "target":
        return "required, or `table`"
    if parameter.is_required:
        return "required"
    if parameter.about.empty:
        return f"none, {parameter.about.empty}"
    if isinstance(default_value, bool):
        return f"`{json.dumps(default_value)}`"
    if isinstance(default_value, int):
        return f"{default_value:,}"
    return f"`{json.dumps(default_value)}`"
