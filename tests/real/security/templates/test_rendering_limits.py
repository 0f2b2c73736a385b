"""A template that would exhaust the machine is an error of the template, in seconds, and the worker lives on."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pytest
from tests.bench.data import NARROW_TEMPLATE as NARROW_TICKETS
from tests.bench.data import TEMPLATE as TICKETS

from nightbatch.errors import TemplateError
from nightbatch.spec.enrichment import Prompt
from nightbatch.template.language.syntax import TEMPLATE_BYTES
from nightbatch.template.limited import Child, LimitedTemplate, limited
from nightbatch.template.media import MOST_PIECES, Piece
from nightbatch.template.template import Template

PROMPTS = Path(__file__).parents[4] / "include" / "prompts"
DEMOS = [
    Prompt.parse(path.read_text(encoding="utf-8")).user
    for path in sorted(PROMPTS.iterdir())
]
ROWS = pa.record_batch(
    {"s": ["abc" * 100, "x"], "items": [["a", "b"], ["c"]], "n": [3, 4]}
)
DOUBLING = (
    "{% set v0 = s %}"
    + "".join(f"{{% set v{n + 1} = v{n} ~ v{n} %}}" for n in range(40))
    + "{{ v40 }}"
)
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

PNG = b"\x89PNG\r\n\x1a\n"
PLACE = pa.struct([("photo", pa.large_binary()), ("name", pa.string())])
PHOTOS = pa.record_batch(
    {
        "p": pa.array([PNG, None, b"", PNG, PNG + b"2"], pa.binary()),
        "ps": pa.array(
            [[PNG, None, b"", PNG], [], None, [b"a"], [PNG] * 3], pa.list_(pa.binary())
        ),
        "place": pa.array(
            [{"photo": PNG, "name": "x"}, None, {}, {"photo": b""}, {"photo": PNG}],
            PLACE,
        ),
        "kind": pa.array(
            [b"a", b"b", b"a", None, b""], pa.binary()
        ).dictionary_encode(),
        "fixed": pa.array([b"abc", None, b"abc", b"def", b"ghi"], pa.binary(3)),
        "url": ["s3://a/b.png", None, "", "word", "https://a/b.png"],
        "s": ["abc", "\x000\x00", "", None, "é"],
        "n": [1, 2, 3, 4, 5],
    }
)


@pytest.mark.parametrize("name", BOMBS)
def test_a_template_that_grows_without_end_is_an_error_of_the_template(
    name: str,
) -> None:
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


PRINTED_WITH_MEDIA = [
    "{% set t = s ~ '!' %}{{ t }}{{ image(p) }}{{ t }}{{ document(p) }}{{ n * 2 }}",
    "{% for each in ps or [] %}{% if each %}{{ loop.index * 2 }}{{ image(each) ~ s }}{% endif %}{% endfor %}",
    "{% for i in range(3) %}{{ image(p) }}{% for each in ps or [] %}{{ document(each) }}{% endfor %}{% endfor %}",
    "{% set m = image(p) %}{% for i in range(3) %}{{ m }}{{ i + n }}{% endfor %}",
    "{% if place %}{{ image(place.photo) ~ place.name }}{% endif %}{{ image(kind) ~ image(fixed) }}",
    "{{ image(url) ~ image(n) ~ image(p or ps) ~ image(url or s) }}",
    "{{ (p or '')|length * 2 }}{{ 'same' if p == place.photo else 'other' }}{{ image((ps or [p])|first) }}",
    "{{ image(p.replace(p, kind)) ~ image(p.hex()) }}", "{{ image(p) ~ p }}", "{% set t = p %}{{ image(t) }}{{ t }}",
    "{% for i in range(n * 300) %}{{ image(p) }}{% endfor %}",
    "{% set m = image(p) %}{% for i in range(n * 300) %}{{ m }}{% endfor %}",
]  # fmt: skip


@pytest.mark.parametrize("text", PRINTED_WITH_MEDIA)
def test_a_template_with_images_gives_the_same_under_limits_for_each_row(
    text: str,
) -> None:
    template = Template(text)
    under_limits = limited(template)
    assert isinstance(under_limits, LimitedTemplate)
    single = [PHOTOS.slice(row, 1) for row in range(PHOTOS.num_rows)]
    for rows in (*single, PHOTOS, PHOTOS.slice(1, 3), PHOTOS.slice(0, 0)):
        assert outcome(under_limits, rows) == outcome(template, rows)


def outcome(template: Template, rows: pa.RecordBatch) -> list[list[str | Piece]] | str:
    """Return what rows are cut into, or the error."""
    try:
        return template.cut(rows)
    except TemplateError as error:
        return str(error)


def test_an_image_that_is_repeated_is_held_once() -> None:
    (parts,) = LimitedTemplate(
        "{% for i in range(900) %}{{ image(p) }}{% endfor %}"
    ).cut(PHOTOS.slice(4))
    assert parts == [Piece("image", PNG + b"2")] * 900
    assert len(set(map(id, parts))) == 1


def test_an_image_that_is_printed_without_end_is_cut_where_there_are_too_many() -> None:
    text = "{% set m = image(p) %}{% for i in range(100000) %}{{ m }}, {% endfor %}"
    for template in (Template(text), LimitedTemplate(text)):
        (parts,) = template.cut(PHOTOS.slice(4))
        assert sum(isinstance(part, Piece) for part in parts) == MOST_PIECES + 1
        assert len(parts) < 3 * MOST_PIECES


@pytest.mark.parametrize(
    "text",
    [
        DOUBLING + "{{ image(p) }}", "{{ image(p) }}" + BOMBS["join"], "{{ image(p.ljust(100000000000)) }}",
        "{% set ns = namespace(x=image(p)) %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% for i in range(900) %}{{ image(p.ljust(i * 1000000)) }}{% endfor %}",
        "{% set a = s * 10000 %}{% for i in range(1000) %}{{ image(a ~ i) }}{% endfor %}",
    ],
)  # fmt: skip
def test_a_template_with_images_that_grows_without_end_is_an_error_of_the_template(
    text: str,
) -> None:
    rows = pa.record_batch({"s": ["abc" * 100], "p": [PNG * 100]})
    began = time.monotonic()
    with pytest.raises(TemplateError, match="prompt: "):
        limited(Template(text)).cut(rows)
    assert time.monotonic() - began < 60


def test_what_no_request_can_hold_does_not_come_back_from_the_process() -> None:
    template = LimitedTemplate(
        "{{ image(p) }}{% for i in range(10) %}{{ s * 100000 }}{% endfor %}"
    )
    with pytest.raises(TemplateError, match="rendered to more than 256 MB"):
        template.cut(pa.record_batch({"s": ["abc" * 100], "p": [PNG]}))


def test_rows_of_any_size_are_rendered_and_counted() -> None:
    large = bytes(5 * 1024 * 1024)
    rows = pa.record_batch(
        {"p": [large] * 12 + [large * 40, large], "n": [1] * 13 + [0]}
    )
    template = LimitedTemplate("{% set t = 1 / n %}{{ image(p) }}")
    assert [
        parts == [Piece("image", large)] for parts in template.cut(rows.slice(0, 13))
    ] == [True] * 12 + [False]
    with pytest.raises(TemplateError, match="in row 14 of the partition"):
        template.cut(rows.slice(13))


def test_a_template_without_columns_prints_one_text_a_row() -> None:
    assert limited(Template("{% set a = 'b' ~ 'c' %}{{ a }}")).render(
        ROWS
    ).to_pylist() == ["bc", "bc"]


def test_an_error_of_a_row_is_told_as_without_limits() -> None:
    text = "{% set t = s ~ '' %}{{ t / n }}"
    messages = []
    for template in (Template(text), LimitedTemplate(text)):
        with pytest.raises(TemplateError) as raised:
            template.render(ROWS)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


def test_after_a_failure_the_next_rows_are_rendered() -> None:
    template = LimitedTemplate("{% set t = s * n %}{{ t }}")
    large = pa.record_batch({"s": ["abc"], "n": [10**11]})
    small = pa.record_batch({"s": ["abc"], "n": [2]})
    with pytest.raises(TemplateError, match="takes too much memory"):
        template.render(large)
    assert template.render(small).to_pylist() == ["abcabc"]


def test_after_the_process_has_ended_the_next_rows_are_rendered() -> None:
    child = Child()
    metadata = {b"template": b"{{ s }}", b"cut": b"0"}
    rows = ROWS.select(["s"])
    assert child.ask(rows, metadata, 2).num_rows == 2
    child._started().kill()
    child._started().wait()
    with pytest.raises(TemplateError, match="more than a gigabyte of memory"):
        child.ask(rows, metadata, 2)
    assert child.ask(rows, metadata, 2).num_rows == 2


@pytest.mark.parametrize(
    "text",
    [
        "{{ s }}", "{{- s -}}", "{{ s[0] }} {{ place.city }} {{ place['city'] }}", "+ ~ set range( {{ s }} }}",
        "{% if n %}{{ s|upper }}{% else %}{{ s|default('x') }}{% endif %}", "{{ s if n > 3 else 'none' }}",
        "{%- if not place.a[0] == 'x' and n >= 3 or s is not defined -%}a{% elif 'x' in s %}b{% endif %}",
        "{% for i in items %}{{ i|upper }}, {% endfor %}", "{{ items|join(', ') }}", "{{ items | join('\\n- ') }}",
        "{{ s[:4000] }}{{ s[-9:] }}{{ items[1:] }}", "{{ s | truncate(4000, true, '…') }} {{ s|wordcount }}",
        "{{ s.strip().upper()[:9] }} {{ day.strftime('%d.%m.%Y') }} {{ place.get('city', '') }}", "{{ s ~ ' ' ~ n }}",
        "{% for k, v in place.items() %}{{ k }}: {{ v }}{% endfor %}", "{{ (s) }}{{ '}}' ~ s }}{{ n - 1 }}",
        "{{ s.split('\\n')[:3] | join(' ') }}", "{{ items | map(attribute='name') | unique | sort | join(', ') }}",
        "{% if n is not none and n > 3 %}{{ s|replace('\\n', ' ')|replace('\\t', ' ') }}{% endif %}",
        "{{ s|replace('a', 'bb') }}", "{% raw %}{{ s }}{% endraw %}", "{# {{ s }} #}{{ s if n }}", "{{ s.upper () }}",
        "{% for k, v in pairs %}{{ loop.index }} {{ k }}: {{ v.name|trim }}{% else %}none{% endfor %}{{ s }}",
        "{# {% set t = s ~ s %} #}{{ s }}", TICKETS, NARROW_TICKETS, *DEMOS,
        "{{ image(s) }}", "{{ s }} {{- document( place.scans[0] ) -}} {% if image %}{{ image (image) }}{% endif %}",
        "{% for each in items %}{{ loop.index }}: {{ image(each) }}{{ document(each.scan) }}{% endfor %}",
    ],
)  # fmt: skip
def test_a_template_that_prints_what_it_is_given_needs_no_process(text: str) -> None:
    assert type(limited(Template(text))) is Template


@pytest.mark.parametrize(
    "text",
    [
        "{{ s|urlize }}", "{{ s.center(9) }}", "{{ [s, s] }}", "{{ {'a': s} }}", "{{ n / 2 }}", "{{ s|e }}",
        "{{ s * 9 }}", "{{ s|replace('a', s) }}", "{{ items|join(s) }}", "{{ s|truncate(n) }}", "{{ n.real.real(s) }}",
        "{{ items|join('a')|join('b') }}", "{{ s|join('twenty-one characters') }}", "{{ s|replace('a', 'x' * 9) }}",
        "{{ s|replace('', 'twenty-one characters') }}", "{{ s|replace('a', 'bb')|replace('b', 'cc') }}",
        "{{ s|list|string|list }}", "{{ s|sort|upper|sort }}", "{{ ((s|list) ~ '').split('a') }}", "{{ s|tojson }}",
        "{{ s|round(99, 'ceil') }}", "{{ s|map('replace', 'a', 'bbbb') }}", "{{ n|round(precision=9) }}",
        "{{ items|map(attribute='a', default='twenty-one characters') }}", "{{ s|center(99999) }}",
        "{{ '%9999d' % n }}", "{{ image(*s) }}",
        "{{ day.strftime('%999999999d') }}", "{{ day.strftime(s) }}", "{# #} #}{% set t = s %}", "{{ s[:n] }}",
        "{% for a in items %}{% for b in items %}{{ b }}{% endfor %}{% endfor %}",
        "{% for a in items %}{# {% endfor %} #}{% for b in items %}{{ b }}{% endfor %}{% endfor %}",
        "{% for a in items %}{{ s }}{% endfor %}", "{% for a in items %}{% if s in items %}{% endif %}{% endfor %}",
        "{% for a in items recursive %}{{ a }}{% endfor %}", "{% for a in [1, 2] %}{{ a }}{% endfor %}",
        "{% macro m() %}{{ s }}{% endmacro %}", "{% filter upper %}{{ s }}{% endfilter %}", "{% set t = s %}{{ t }}",
        "{% set m = image(s) %}", "{{ image(s) ~ s }}", "{{ image(s)|upper }}", "{{ image(s ~ s) }}",
        "{{ image(s|upper) }}", "{{ image(s.upper()) }}", "{{ image(image(s)) }}", "{% if image(s) %}{% endif %}",
        "{% for a in items %}{{ image(s) }}{% endfor %}", "{{ image(s, s) }}", "{{ image(s) if s }}",
    ],
)  # fmt: skip
def test_whatever_is_not_on_the_list_is_rendered_under_limits(text: str) -> None:
    assert isinstance(limited(Template(text)), LimitedTemplate)


def test_what_a_template_prints_many_times_is_rendered_under_limits() -> None:
    for text in (
        "{{ s }}" * 1_000,
        "{% for i in items %}" + "x" * 1_001 + "{% endfor %}",
        "{% for i in items %}{{ i|d('" + "x" * 1_001 + "') }}{% endfor %}",
        ("{% for i in items %}" + "x" * 100 + "{% endfor %}") * 11,
        "{% if s in s" + " or s in s" * 1_000 + " %}{% endif %}",
    ):
        assert isinstance(limited(Template(text)), LimitedTemplate)


@pytest.mark.parametrize(
    "text",
    [
        "{{ s|filter_of_a_later_version }}", "{{ f(s) }}", "{% tag_of_a_later_version s %}", "{{ s", "{%", "{# {{ s }}",
        "{{ s is test_of_a_later_version }}", "{% include s %}", "{{ image(s }}", "{{ '\\x4' }}",
    ],
)  # fmt: skip
def test_what_is_no_template_is_refused_by_both(text: str) -> None:
    template = limited(Template(text))
    assert isinstance(template, LimitedTemplate)
    with pytest.raises(TemplateError, match="at line 1, column"):
        template.check_syntax()
    with pytest.raises(TemplateError, match="at line 1, column"):
        template.render(ROWS)


@pytest.mark.parametrize(
    ("opening", "repeated"),
    [
        ("{{ s", " "), ("{{ ", "a"), ("{% if ", "not "), ("{% if ", "a and "), ("{{ a", ".b"), ("{{ a", "|d"),
        ("{{ ", "1"), ("{{ '", "\\n"), ("{{ a", "['b']"), ("{{ a|d(", "1, "), ("{{ a", " if a else a"),
    ],
)  # fmt: skip
def test_the_longest_markup_is_judged_in_seconds(opening: str, repeated: str) -> None:
    text = opening + repeated * ((TEMPLATE_BYTES - len(opening)) // len(repeated))
    began = time.process_time()
    assert isinstance(limited(Template(text)), LimitedTemplate)
    assert time.process_time() - began < 10


def test_unclosed_braces_hide_no_markup_after_them() -> None:
    for before in ("{{ s ", "{% if ", "{{{", "{%{%"):
        assert isinstance(
            limited(Template(before + "{% set t = s ~ s %}{{ t }}")), LimitedTemplate
        )
