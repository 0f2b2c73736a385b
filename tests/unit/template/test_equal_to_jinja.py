"""What Jinja2 prints of an ordinary template is what a prompt holds; docs/templates.md lists where they differ."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa
import pytest

from nightbatch.template.template import Template

FILE = Path(__file__).parent / "ordinary_snippets.jinja"
SNIPPETS = FILE.read_text(encoding="utf-8").removesuffix("\n").split("\n====\n")
ROWS: list[dict[str, Any]] = [
    {
        "body": "The thermostat's display shows E40 since the last update.\nIt is cold in here, every morning.",
        "title": "My HEATER <fails>",
        "n": 42,
        "share": 0.25,
        "flag": True,
        "tags": ["bug", "Heating", "bug"],
        "place": {"city": "Bonn", "zip": "53111"},
        "items": [{"name": "b", "price": 2.5}, {"name": "a", "price": 1.5}],
        "day": date(2026, 11, 21),
        "other": date(2026, 1, 2),
        "took": timedelta(1, 5),
    },
    {
        "body": "",
        "title": "ünïcode & more",
        "n": 0,
        "share": -1.5,
        "flag": False,
        "tags": [],
        "place": {"city": "Köln", "zip": "50667"},
        "items": [],
        "day": date(1, 1, 1),
        "other": date(9999, 12, 31),
        "took": timedelta(0),
    },
    {
        "body": "one\r\ntwo",
        "title": "x  y\tz {{ n }}",
        "n": -7,
        "share": 1e-7,
        "flag": True,
        "tags": ["z"],
        "place": {"city": "", "zip": "0"},
        "items": [{"name": "a", "price": 0.5}],
        "day": date(2024, 2, 29),
        "other": date(2024, 2, 29),
        "took": timedelta(-1),
    },
]
JINJA = jinja2.Environment(keep_trailing_newline=True)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_prints_what_jinja_prints(snippet: str) -> None:
    by_jinja = JINJA.from_string(snippet)
    template = Template(snippet)
    rows = pa.RecordBatch.from_pylist(ROWS)
    prompts = template.render(rows).to_pylist()
    assert prompts == [by_jinja.render(**row) for row in ROWS]


def test_there_are_many_snippets() -> None:
    assert len(set(SNIPPETS)) >= 100
