"""A template prints what a row holds: it cannot change it, differ from run to run, or put it into an error."""

from __future__ import annotations

import datetime as dt
import time
import traceback
from decimal import Decimal
from itertools import product
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from nightbatch.errors import TemplateError
from nightbatch.template.language.syntax import TEMPLATE_BYTES
from nightbatch.template.limited import LimitedTemplate
from nightbatch.template.media import MOST_PIECES
from nightbatch.template.template import Template

CANARY = "jane-doe-canary"
DAY = dt.date(2026, 11, 21)
BERLIN = ZoneInfo("Europe/Berlin")
ROW = pa.record_batch(
    {
        "body": [CANARY],
        "n": [1],
        "half": [0.5],
        "yes": [True],
        "none": pa.nulls(1),
        "raw": pa.array([CANARY.encode() + b"\xff"], pa.binary()),
        "price": pa.array([Decimal("1.25")], pa.decimal128(9, 2)),
        "day": [DAY],
        "time": pa.array([dt.time(3, 4)], pa.time64("us")),
        "naive": [dt.datetime(2026, 11, 21, 3, 4)],
        "aware": pa.array(
            [dt.datetime(2026, 11, 21, 3, 4, tzinfo=BERLIN)],
            pa.timestamp("us", "Europe/Berlin"),
        ),
        "took": pa.array([dt.timedelta(1, 5)], pa.duration("us")),
        "tags": [[CANARY, "b"]],
        "days": [[DAY, DAY]],
        "place": [{"city": CANARY, "pop": 7, "day": DAY}],
        "places": [[{"city": CANARY}, {"city": "b"}]],
        "pairs": pa.array([[(CANARY, 1)]], pa.map_(pa.string(), pa.int64())),
        "kind": pa.array([CANARY]).dictionary_encode(),
    }
)


def rendered(template: str, rows: pa.RecordBatch = ROW) -> str:
    text: str = Template(template).render(rows)[0].as_py()
    return text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ day.year }}-{{ day.month }}-{{ day.day }}", "2026-11-21"),
        ("{{ day.strftime('%-d.%-m.%Y') }} {{ day.weekday() }} {{ day.isocalendar()[1] }}", "21.11.2026 5 47"),
        ("{{ day.replace(year=2020).isoformat() }} {{ day.replace(year=2020).year }}", "2020-11-21 2020"),
        ("{{ naive.hour }}:{{ naive.minute }} {{ naive.date() }} {{ naive.date().year }}", "3:4 2026-11-21 2026"),
        ("{{ aware.isoformat() }} {{ aware.tzname() }}", "2026-11-21T03:04:00+01:00 CET"),
        ("{{ aware.timestamp()|int }}", "1795226640"),
        ("{{ time.hour }} {{ time.strftime('%H:%M') }} {{ time }}", "3 03:04 03:04:00"),
        ("{{ took.days }} {{ took.total_seconds() }} {{ took }}", "1 86405 1 day, 0:00:05"),
        ("{{ day < naive.date() }} {{ day == days[0] }} {{ days|unique|list|length }}", "false true 1"),
        ("{{ place.city|upper }} {{ place['city'] }} {{ place.pop }}", f"{CANARY.upper()} {CANARY} 7"),
        ("{{ place.get('none', 'x') }} {% for k, v in place.items() %}{{ k }}{% endfor %}", "x citypopday"),
        ("{{ place }} {{ days }}", f'{{"city":"{CANARY}","pop":7,"day":"2026-11-21"}} ["2026-11-21","2026-11-21"]'),
        ("{{ tags|join('+') }} {{ tags.count('b') }} {{ tags.index('b') }}", f"{CANARY}+b 1 1"),
        ("{{ places|map(attribute='city')|list }}", f'["{CANARY}","b"]'),
        ("{{ body.split('-')[0] }} {{ body.upper()|replace('JANE', 'X') }}", "jane X-DOE-CANARY"),
        ("{% for k, v in pairs %}{{ k }}={{ v }}{% endfor %}", f"{CANARY}=1"),
        ("{{ price * 2 }}", "2.5"),
    ],
)  # fmt: skip
def test_what_prompts_use_of_a_value_goes_on_working(template: str, text: str) -> None:
    assert rendered("{% if true %}" + template + "{% endif %}") == text


@pytest.mark.parametrize(
    "call",
    [
        "place.pop(body)", "place.popitem()", "place.clear()", "place.update({})", "place.setdefault('a', 1)",
        "place.copy()", "place.fromkeys(tags)", "tags.append(1)", "tags.clear()", "tags.pop()", "tags.sort()",
        "tags.extend(tags)", "tags.remove(body)", "tags.index(n)", "places[0].pop(body)", "day.today()",
        "day.fromisoformat(body)", "naive.now()", "naive.utcnow()", "naive.strptime(body, body)", "naive.timestamp()",
        "naive.astimezone()", "aware.tzinfo.no_cache(body)", "aware.tzinfo", "naive.strftime('%s')", "day.max",
        "day.resolution", "raw.decode()", "day.strftime(n)", "body.pop(body)",
    ],
)  # fmt: skip
def test_what_leaks_changes_or_differs_each_time_is_refused_without_a_value(
    call: str,
) -> None:
    with pytest.raises(
        TemplateError, match=r"prompt: .*, in row 1 of the partition"
    ) as caught:
        rendered("{{ " + call + " }}")
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "method",
    ["place.items", "tags.index", "day.isoformat", "[body.upper]", "body.upper ~ ''", "cycler(1)", "range", "loop"],
)  # fmt: skip
def test_what_has_an_address_in_memory_is_never_printed(method: str) -> None:
    template = "{% for tag in tags %}{{ " + method + " }}{{ range(1)[0] }}{% endfor %}"
    with pytest.raises(TemplateError, match="what is printed is no value"):
        rendered(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ tags|map('upper') }}", "{{ place|pprint }}", "{{ '{!r}'.format(place) }}", "{{ '%r' % day }}",
        "{{ place.items() }}", "{{ range(3) }}", "{{ tags|batch(2)|string }}", "{{ tags|random }}{{ tags|random }}",
    ],
)  # fmt: skip
def test_what_is_printed_is_the_same_each_time(template: str) -> None:
    assert rendered(template) == rendered(template)
    assert " at 0x" not in rendered(template)


USES = [
    "{{ C }}", "{{ C|F }}", "{{ C.pop(body) }}", "{{ C.index(body) }}", "{{ C[body] }}", "{{ C.x }}", "{{ C + body }}",
    "{{ C|F(body) }}", "{{ body|map(C)|list }}", "{{ C(body) }}", "{{ C.strftime(body) }}", "{{ C.replace(body) }}",
    "{{ C.encode(body) }}", "{{ C is F(body) }}", "{{ [C]|map(body)|list }}", "{% include C %}", "{{ range(C) }}",
    "{{ dict(a=C).pop(body) }}", "{% for a, b, c in C %}{{ a }}{% endfor %}", "{{ namespace(C) }}", "{{ -C }}",
    "{{ body % C }}", "{{ C.decode(body) }}", "{{ C.get(body)[body] }}", "{{ C|attr(body) }}", "{% set C.a = body %}",
]  # fmt: skip
FILTERS = [
    "int",
    "sort",
    "join",
    "tojson",
    "format",
    "round",
    "float",
    "items",
    "batch",
    "indent",
    "sum",
    "groupby",
]


def failure(template: str) -> TemplateError | None:
    try:
        rendered(template)
    except TemplateError as error:
        return error
    return None


@pytest.mark.parametrize("use", USES)
def test_no_error_of_any_template_over_any_column_holds_a_value(use: str) -> None:
    for column, name in product(ROW.schema.names, FILTERS if "F" in use else [""]):
        template = use.replace("C", column).replace("F", name)
        if error := failure("{% if true %}" + template + "{% endif %}"):
            assert CANARY not in "".join(traceback.format_exception(error)), template
            assert error.__context__ is None


def test_an_error_names_the_row_of_the_partition_the_place_and_the_filter() -> None:
    bodies = ["1"] * 9 + [CANARY]
    template = Template("{# a #}\n{{ body | int(0, 8) + body | sum }}")
    template.render(pa.record_batch({"body": [None] * 5}))
    rows = pa.record_batch({"body": bodies[5:]})
    with pytest.raises(
        TemplateError,
        match=r"filter 'sum' cannot .* at line 2, column 30 of the template, in row 6 of the partition: \{\{ body",
    ):
        template.render(rows)


def test_ordinary_templates_have_time_enough() -> None:
    items = [
        {"name": f"item {number}", "price": number / 2} for number in range(10_000)
    ]
    rows = pa.record_batch({"items": [items]})
    line = "- {{ i.name|upper }}: {% if i.price > 9 %}{{ i.price }}{% endif %} {{ loop.index * 2 }}\n"
    template = LimitedTemplate("{% for i in items %}" + line + "{% endfor %}")
    assert template.render(rows)[0].as_py().count("\n") == 10_000


def test_loops_within_loops_run_out_of_time_also_where_a_row_has_images() -> None:
    template = LimitedTemplate(
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}{{ image(raw) }}"
    )
    with pytest.raises(TemplateError, match="rendering takes too long, in row 1 of"):
        template.cut(ROW)


def test_a_row_keeps_at_most_one_image_more_than_it_may_have() -> None:
    (parts,) = Template("{% for i in range(5000) %}{{ image(raw) }}{% endfor %}").cut(
        ROW
    )
    assert len(parts) == MOST_PIECES + 1


def test_a_template_has_a_length() -> None:
    with pytest.raises(
        TemplateError, match=r"has 1,000,001 bytes; at most 1,000,000 are allowed"
    ):
        _ = Template("x" * (TEMPLATE_BYTES + 1)).columns


@pytest.mark.parametrize(
    "repeated", ["{{{%", "{{ a", "{{ a.b ", "{{ (", "{% if a %}", "{{ a }}{#", "{{ 1", "x{{ '"]
)  # fmt: skip
def test_a_template_of_braces_is_read_in_time_that_grows_with_its_length(
    repeated: str,
) -> None:
    text = repeated * (TEMPLATE_BYTES // len(repeated)) + "image("
    started = time.process_time()
    with pytest.raises(TemplateError):
        Template(text).check_syntax()
    assert time.process_time() - started < 5


def test_images_are_called_for_in_tags_only_and_may_be_columns_too() -> None:
    template = Template("{% if image %}{{ image (image) }}{% endif %} image(b)")
    assert template.columns == ("image",)
    assert template.has_media
    assert not Template("{{ a }} image(b) {{ 'image(c)' }}").has_media
