"""What only a row can cause is an error that names the row, the place and what to write instead, and no value."""

from __future__ import annotations

import traceback

import pyarrow as pa
import pytest

from nightbatch.errors import TemplateError
from nightbatch.template.template import Template

SECRET = "jane-doe"
ROWS = pa.record_batch(
    {
        "body": ["a", SECRET],
        "n": pa.array([1, None], pa.int64()),
        "place": [{"city": "Bonn"}, {"city": SECRET}],
        "tags": [["a"], [SECRET]],
        "raw": pa.array([b"", SECRET.encode()], pa.binary()),
    }
)
WRONG = {
    "{{ body }}\n{{ place.street }}": r"'\.street' is not there, at line 2, column 9 of the template, in "
    r"row 1 of the partition: \{\{ place\.street \}\}\. Write … \| default",
    "{% if place.street %}{% endif %}": r"'\.street' is not there, at line 1, column 12",
    "{{ place['street'] | upper }}": r"\['street'\] is not there, at line 1, column 22",
    "{{ tags[7] }}": r"\[7\] is not there",
    "{{ place[body] }}": "a value that is used is not there, at line 1",
    "{{ 'ä' }}{{ n + 1 }}": r"cannot be computed with \+, at line 1, column 13 .* in row 2 .* Join texts with ~",
    "{% if body == 'a' or body > 3 %}{% endif %}": "values cannot be compared, at line 1, column .* in row 2",
    "{{ 1 / (n or 0) }}": "a number is divided by zero, at line 1, column 4 .* in row 2",
    "{% for a in 7 %}{% endfor %}": "cannot be looped over or sliced like this, at line 1, column 13",
    "{{ tags | sum }}": "filter 'sum' cannot use this value or these arguments, at line 1, column 11",
    "{{ tags.append(1) }}": r"there is no method '\.append' that a template may call, at line 1, column",
    "{{ body.__class__ }}": r"'\.__class__' cannot be used",
    "{{ body.upper(1) }}": r"'\.upper' cannot be called with these arguments",
    "{{ body.upper }}": "what is printed is no value: .* Call it: items",
    "{{ raw }}{{ image(raw) }}": "a binary value is used outside image",
    "{{ range(200000) }}": "a number is too large, .* A range has at most 100,000",
    "{{ 2 ** 999999 }}": "a number is too large",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}": "calls itself without end",
    "{{ body is divisibleby 2 }}": "test 'divisibleby' cannot be made of this value",
}


@pytest.mark.parametrize("text", WRONG)
def test_an_error_of_a_row_says_what_and_where_and_holds_no_value(text: str) -> None:
    with pytest.raises(TemplateError, match=f"prompt: .*(?:{WRONG[text]})") as raised:
        Template(text).render(ROWS)
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_a_choice_follows_from_the_row_and_choices_within_a_row_differ() -> None:
    rows = pa.record_batch({"n": list(range(50)), "tags": [["a", "b", "c"]] * 50})
    template = "{{ tags | random }}{{ tags | random }}{{ n }}"
    first = Template(template).render(rows).to_pylist()
    assert Template(template).render(rows).to_pylist() == first
    backwards = Template(template).render(rows.take(list(range(49, -1, -1))))
    assert backwards.to_pylist() == first[::-1]
    assert len({prompt[:2] for prompt in first}) == 9
