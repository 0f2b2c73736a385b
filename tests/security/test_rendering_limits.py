"""A template that would exhaust the machine is an error of the template, in seconds, and the worker lives on."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest

from nightbatch.core.errors import TemplateError
from nightbatch.core.rendering import TEMPLATE_BYTES
from nightbatch.core.template import Template
from nightbatch.steps.rendering import Child, LimitedTemplate, limited

ROWS = pa.record_batch({"s": ["abc" * 100, "x"], "items": [["a", "b"], ["c"]], "n": [3, 4]})
DOUBLING = "{% set v0 = s %}" + "".join(f"{{% set v{n + 1} = v{n} ~ v{n} %}}" for n in range(40)) + "{{ v40 }}"
BOMBS = {
    "doubling": DOUBLING,
    "doubling in a loop": "{% set ns = namespace(x=s) %}"
    "{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
    "nested loops": "{% for a in range(100000) %}{% for b in range(100000) %}{{ s }}{% endfor %}{% endfor %}",
    "replace": "{% set t = s|replace('a', s)|replace('b', s)|replace('c', s)|replace('a', s)|replace('b', s) %}"
    "{{ t|replace('c', t)|replace('a', t)|replace('b', t) }}",
    "join": "{{ range(100000)|join(s|replace('a', s)|replace('b', s)|replace('c', s)) }}",
    "indent": "{{ s|indent(1000000000, true) }}",
    "macro": "{% macro m(x) %}{{ x }}{{ x }}{{ x }}{% endmacro %}"
    + "{{ " + "m(" * 30 + "s" + ")" * 30 + " }}",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_template_that_grows_without_end_is_an_error_of_the_template(name: str) -> None:
    template = limited(Template(BOMBS[name]))
    assert isinstance(template, LimitedTemplate)
    began = time.monotonic()
    with pytest.raises(TemplateError, match="prompt: ") as raised:
        template.render(ROWS)
    assert time.monotonic() - began < 60
    assert "abcabc" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in items %}{{ i|upper }}, {% endfor %}", "{{ items|join(', ') }}: {{ s|replace('a', 'z') }}",
        "{% set t = s ~ '!' %}{{ t }} {{ n * 2 }}", "{% if n > 3 %}{{ s }}{% endif %}",
    ],
)  # fmt: skip
def test_an_ordinary_template_prints_the_same_under_limits(text: str) -> None:
    assert LimitedTemplate(text).render(ROWS) == Template(text).render(ROWS)


def test_a_template_without_columns_prints_one_text_a_row() -> None:
    assert limited(Template("{% set a = 'b' ~ 'c' %}{{ a }}")).render(ROWS).to_pylist() == ["bc", "bc"]


def test_an_error_of_a_row_is_told_as_without_limits() -> None:
    text = "{% set t = s ~ '' %}{{ t / n }}"
    messages = []
    for template in (Template(text), LimitedTemplate(text)):
        with pytest.raises(TemplateError) as raised:
            template.render(ROWS)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


def test_after_a_failure_the_next_batch_is_rendered() -> None:
    child = Child()
    for text, fails in ((DOUBLING, True), ("{{ s }}", False)):
        metadata = {b"template": text.encode(), b"cut": b"0"}
        if fails:
            with pytest.raises(TemplateError):
                child.ask(ROWS.select(["s"]), metadata, 2)
        else:
            assert child.ask(ROWS.select(["s"]), metadata, 2).num_rows == 2


def test_plain_templates_need_no_process() -> None:
    for text in ("{{ s }}", "{% if n %}{{ s|upper }}{% else %}{{ s|default('x') }}{% endif %}", "+ ~ set {{ s }}"):
        assert type(limited(Template(text))) is Template


@pytest.mark.parametrize("braces", ["{{", "{%", "{{{%", "{", "{{ '", "{{ s ", "{#", "{{ s }"])
def test_the_longest_template_of_unclosed_braces_is_judged_in_one_pass(braces: str) -> None:
    text = braces * (TEMPLATE_BYTES // len(braces))
    assert limited(Template(text)).text == text


def test_unclosed_braces_hide_no_markup_after_them() -> None:
    for before in ("{{ s ", "{% if ", "{{{", "{%{%"):
        assert isinstance(limited(Template(before + "{% set t = s ~ s %}{{ t }}")), LimitedTemplate)
