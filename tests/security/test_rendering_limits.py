"""A template that would exhaust the machine is an error of the template, in seconds, and the worker lives on."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pytest
from tests.bench.data import NARROW_TEMPLATE as NARROW_TICKETS
from tests.bench.data import TEMPLATE as TICKETS

from nightbatch.core.enrichment import Prompt
from nightbatch.core.errors import TemplateError
from nightbatch.core.rendering import TEMPLATE_BYTES
from nightbatch.core.template import Template
from nightbatch.steps.rendering import Child, LimitedTemplate, limited

PROMPTS = Path(__file__).parents[2] / "include" / "prompts"
DEMOS = [Prompt.parse(path.read_text(encoding="utf-8")).user for path in sorted(PROMPTS.iterdir())]
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


@pytest.mark.parametrize(
    "text",
    [
        "{{ s }}", "{{- s -}}", "{{ s[0] }} {{ place.city }} {{ place['city'] }}", "+ ~ set range( {{ s }} }}",
        "{% if n %}{{ s|upper }}{% else %}{{ s|default('x') }}{% endif %}", "{{ s if n > 3 else 'none' }}",
        "{%- if not place.a[0] == 'x' and n >= 3 or s is not defined -%}a{% elif 'x' in s %}b{% endif %}",
        "{% for i in items %}{{ i|upper }}, {% endfor %}", "{{ items|join(', ') }}", "{{ items | join('\\n- ') }}",
        "{% for k, v in pairs %}{{ loop.index }} {{ k }}: {{ v.name|trim }}{% else %}none{% endfor %}{{ s }}",
        "{# {% set t = s ~ s %} #}{{ s }}", TICKETS, NARROW_TICKETS, *DEMOS,
    ],
)  # fmt: skip
def test_a_template_that_prints_what_it_is_given_needs_no_process(text: str) -> None:
    assert type(limited(Template(text))) is Template


@pytest.mark.parametrize(
    "text",
    [
        "{{ s|filter_of_a_later_version }}", "{{ s.method_of_a_later_version() }}", "{{ s.upper () }}", "{{ f(s) }}",
        "{% tag_of_a_later_version s %}", "{{ s is test_of_a_later_version }}", "{{ [s, s] }}", "{{ {'a': s} }}",
        "{% include s %}", "{% raw %}{{ s }}{% endraw %}", "{{ s ~ s }}", "{{ s * 9 }}", "{{ s + s }}", "{{ s - 1 }}",
        "{{ '}}' ~ s }}", "{{ '\\x41' }}", "{{ s|replace('a', 'b') }}", "{{ items|join(s) }}", "{{ s|upper(s) }}",
        "{{ items|join('a')|join('b') }}", "{{ s|join('twenty-one characters') }}", "{{ n.real.real(s) }}",
        "{{ day.strftime('%999999999d') }}", "{# #} #}{% set t = s %}", "{# {{ s }}", "{{ (s) }}", "{{ s", "{%",
        "{% for a in items %}{% for b in items %}{{ b }}{% endfor %}{% endfor %}",
        "{% for a in items %}{# {% endfor %} #}{% for b in items %}{{ b }}{% endfor %}{% endfor %}",
        "{% for a in items %}{{ s }}{% endfor %}", "{% for a in items %}{% if s in items %}{% endif %}{% endfor %}",
        "{% for a in items recursive %}{{ a }}{% endfor %}", "{% for a in [1, 2] %}{{ a }}{% endfor %}",
    ],
)  # fmt: skip
def test_whatever_is_not_on_the_list_is_rendered_under_limits(text: str) -> None:
    assert isinstance(limited(Template(text)), LimitedTemplate)


def test_what_a_template_prints_many_times_is_rendered_under_limits() -> None:
    for text in (
        "{{ s }}" * 1_000,
        "{% for i in items %}" + "x" * 1_001 + "{% endfor %}",
        ("{% for i in items %}" + "x" * 100 + "{% endfor %}") * 11,
        "{% if s in s" + " or s in s" * 1_000 + " %}{% endif %}",
    ):
        assert isinstance(limited(Template(text)), LimitedTemplate)


@pytest.mark.parametrize("braces", ["{{", "{%", "{{{%", "{", "{{ '", "{{ s ", "{#", "{{ s }", "{# #}"])
def test_the_longest_template_of_unclosed_braces_is_judged_in_one_pass(braces: str) -> None:
    text = braces * (TEMPLATE_BYTES // len(braces))
    assert limited(Template(text)).text == text


@pytest.mark.parametrize(
    ("opening", "repeated"),
    [
        ("{{ s", " "), ("{{ ", "a"), ("{% if ", "not "), ("{% if ", "a and "), ("{{ a", ".b"), ("{{ a", "|d"),
        ("{{ ", "1"), ("{{ '", "\\n"), ("{{ a", "['b']"), ("{{ a|d(", "1, "), ("{{ a", " if a else a"),
    ],
)  # fmt: skip
def test_the_longest_markup_is_judged_in_one_pass(opening: str, repeated: str) -> None:
    text = opening + repeated * ((TEMPLATE_BYTES - len(opening)) // len(repeated))
    assert isinstance(limited(Template(text)), LimitedTemplate)


def test_unclosed_braces_hide_no_markup_after_them() -> None:
    for before in ("{{ s ", "{% if ", "{{{", "{%{%"):
        assert isinstance(limited(Template(before + "{% set t = s ~ s %}{{ t }}")), LimitedTemplate)
