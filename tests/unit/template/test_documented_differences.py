"""Templates differ from Jinja2 in what docs/templates.md lists, and the examples there are true."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import jinja2
import pyarrow as pa
import pytest

from nightbatch.errors import TemplateError
from nightbatch.template.template import Template

PAGE = Path(__file__).parents[3] / "docs" / "templates.md"
ROW = {
    "nothing": None,
    "flag": True,
    "half": 0.5,
    "n": 12345,
    "tags": ["b", "a"],
    "place": {"city": "Bonn"},
    "box": {"items": 3},
    "at": datetime(2026, 11, 21, 3, 4),
}
ROWS = pa.RecordBatch.from_pylist([ROW])
JINJA = jinja2.Environment(keep_trailing_newline=True)
ERROR = "error"
WHATEVER = "`…`"


def table() -> list[tuple[str, str, str]]:
    """Return the templates of the table, what Jinja2 prints of each, and what is printed here."""
    section = PAGE.read_text(encoding="utf-8").split("## Where it differs")[1]
    lines = re.findall(r"^\| (`\{.*)\|$", section.split("\n## ")[0], re.MULTILINE)
    rows = list[tuple[str, str, str]]()
    for line in lines:
        template, jinja, here, _ = re.split(r"(?<!\\)\|", line)
        cells = [cell.strip().replace("\\|", "|") for cell in (template, jinja, here)]
        rows.append((cells[0].strip("`"), cells[1], cells[2]))
    return rows


def by_jinja(template: str) -> str:
    try:
        return f"`{JINJA.from_string(template).render(**ROW)}`"
    except (jinja2.TemplateError, TypeError, AttributeError):
        return ERROR


def by_us(template: str) -> str:
    try:
        return f"`{Template(template).render(ROWS)[0].as_py()}`"
    except TemplateError:
        return ERROR


def test_the_page_has_a_table_of_differences() -> None:
    assert len(table()) > 25


@pytest.mark.parametrize(("template", "jinja", "here"), table())
def test_an_example_of_the_page_is_true(template: str, jinja: str, here: str) -> None:
    printed_by_jinja = by_jinja(template)
    assert jinja == WHATEVER or (jinja or "``") == printed_by_jinja
    assert (here or "``") == by_us(template)
    assert printed_by_jinja != by_us(template) or jinja == WHATEVER
