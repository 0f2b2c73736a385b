"""No value of a row stands in an error of the template, whatever the template calls."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from nightbatch.errors import TemplateError
from nightbatch.template.limited import LimitedTemplate
from nightbatch.template.template import Template

CANARY = "CANARY jane doe"
ROWS = pa.record_batch(
    {
        "s": pa.array([{"a": "x"}]),
        "t": pa.array([CANARY]),
        "d": pa.array([datetime(2026, 11, 27, tzinfo=UTC)]),
        "l": pa.array([[CANARY]]),
        "n": pa.array([1.5]),
        "b": pa.array([CANARY.encode()]),
    }
)
CALLS = [
    "s.pop(t)", "s[t]", "s.a.pop(t)", "d.tzinfo.no_cache(t)", "d.replace(t)", "d.strftime(n)", "l.index(n)", "l.pop(7)",
    "l.remove(s)", "t.encode(t)", "t.index('zzz')", "t | int", "t + n", "n.fromhex(t)", "b.decode(t)", "t[t]",
    "t.format(n)", "t | tojson | round", "s | join(n) | abs", "d.fromisoformat(t)", "t | dictsort", "d - t", "t / n",
]  # fmt: skip


@pytest.mark.parametrize("kind", [Template, LimitedTemplate])
@pytest.mark.parametrize("call", CALLS)
def test_an_error_of_a_template_holds_no_value(call: str, kind: type[Template]) -> None:
    text = f"{{{{ {call} }}}}"
    problem = ""
    try:
        kind(text).render(ROWS)
    except TemplateError as error:
        problem = "".join(traceback.format_exception(error)) + repr(error.__cause__)
    assert CANARY not in problem
    assert "jane" not in problem
