"""What is read in bulk is what `AnswerType.read` reads, value for value; whatever it does not know it leaves alone."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.bulk.answers import Bulk

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"$ref": "#/$defs/Kind"},
        "level": {"type": "integer", "minimum": 1, "exclusiveMaximum": 6},
        "score": {"type": "number", "minimum": -0.5, "maximum": 2},
        "flag": {"type": "boolean"},
        "note": {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": 3},
                {"type": "null"},
            ]
        },
        "tags": {"type": "array", "items": {"enum": ["x", "y"]}, "maxItems": 2},
        "place": {
            "type": "object",
            "properties": {"row": {"type": ["integer", "null"]}},
            "required": ["row"],
        },
    },
    "required": ["kind", "level", "score", "flag", "tags", "place"],
    "additionalProperties": False,
    "$defs": {"Kind": {"title": "Kind", "type": "string", "enum": ["bug", "bill"]}},
}
ANSWER = AnswerType(SCHEMA)
GOOD = {
    "kind": "bug",
    "level": 5,
    "score": 0.25,
    "flag": True,
    "note": "ok",
    "tags": ["x"],
    "place": {"row": 3},
}

numbers = (
    st.integers(-1, 7)
    | st.floats(-1, 3)
    | st.sampled_from([2**53, 2**63, -0.0, 1e300, 1.0])
)
strange = (
    st.none()
    | st.booleans()
    | numbers
    | st.text(max_size=3)
    | st.lists(st.text(max_size=1), max_size=1)
)
good = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["bug", "bill"]),
        "level": st.integers(1, 5),
        "score": st.floats(-0.5, 2) | st.integers(0, 2),
        "flag": st.booleans(),
        "note": st.text(min_size=1, max_size=3),
        "tags": st.lists(st.sampled_from("xy"), max_size=2),
        "place": st.fixed_dictionaries({"row": st.integers(-(2**63), 2**63 - 1)}),
    }
)
one_off = st.builds(
    lambda value, name, odd: {**value, name: odd},
    good,
    st.sampled_from(list(GOOD)),
    strange,
)
fewer = st.builds(
    lambda value, name: {key: value[key] for key in value if key != name},
    good,
    st.sampled_from(list(GOOD)),
)
more = st.builds(lambda value, odd: {**value, "more": odd}, good, strange)
pretty = st.builds(
    lambda value, indent, ascii_only: json.dumps(
        value, indent=indent, ensure_ascii=ascii_only
    ),
    good | one_off | fewer,
    st.sampled_from([None, None, 1]),
    st.booleans(),
)
TEXT = json.dumps(GOOD)
changed = [
    TEXT.replace(was, now)
    for was, now in [("5", "5e0"), ("5", "-0"), ("5", "05"), ("0.25", "-0"), ("0.25", "1E-400"), ("0.25", "NaN"),
                     ("ok", "\\ud800"), ("ok", "\n"), ("ok", "\\u0000")]
]  # fmt: skip
halves = [
    "",
    "{}",
    "null",
    "{",
    "}",
    "{}{}",
    "[1]",
    '{"kind": "',
    '"}',
    " {} ",
    '{"a": 1}\0}',
]
twice = ['{"kind": "bug", "kind": "bill"}', TEXT + TEXT, TEXT + "\n", "\ufeff" + TEXT]
odd_texts = st.sampled_from([*changed, *halves, *twice])
cut = st.builds(
    lambda value, at: [json.dumps(value)[:at], json.dumps(value)[at:]],
    good,
    st.integers(1, 60),
)


def one_by_one(texts: list[str]) -> tuple[list[Any], list[bool]]:
    read = [ANSWER.read(text) for text in texts]
    values, unfit = ANSWER.columns([value for value, _ in read])
    fit = [why is None and place not in unfit for place, (_, why) in enumerate(read)]
    return [
        value if good else None
        for value, good in zip(values.to_pylist(), fit, strict=True)
    ], fit


def in_bulk(texts: list[str]) -> tuple[list[Any], list[bool]]:
    given_texts = pa.array(texts, pa.string())
    values, fit = ANSWER.read_all(given_texts, ANSWER.parse(given_texts))
    assert values.type == ANSWER.arrow
    return [
        value if good else None
        for value, good in zip(values.to_pylist(), fit, strict=True)
    ], fit.tolist()


@settings(max_examples=400)
@given(
    st.lists(pretty, max_size=6),
    st.lists(pretty | odd_texts | more.map(json.dumps), max_size=2),
    cut | st.just([]),
)
def test_texts_read_in_bulk_are_read_as_one_by_one(
    plain: list[str], odd: list[str], parts: list[str]
) -> None:
    texts = [*plain, *odd, *parts, *plain[:1]]
    assert repr(in_bulk(texts)) == repr(one_by_one(texts))  # repr tells 0.0 from -0.0


def test_good_answers_need_no_python() -> None:
    texts = pa.array([json.dumps(GOOD), json.dumps(GOOD, indent=2)])
    parsed = ANSWER.parse(texts)
    assert parsed is not None
    assert parsed.which.all()
    assert ANSWER.read_all(texts, parsed)[0] is parsed.values


def test_a_null_is_left_to_python_and_costs_no_other_row() -> None:
    texts = pa.array(
        [
            json.dumps(GOOD),
            json.dumps({**GOOD, "note": None}),
            json.dumps({**GOOD, "flag": None}),
        ]
    )
    parsed = ANSWER.parse(texts)
    assert parsed is not None
    values, fit = ANSWER.read_all(texts, parsed)
    assert fit.tolist() == [True, True, False]
    assert values.to_pylist()[:2] == [GOOD, {**GOOD, "note": None}]


def test_two_halves_of_an_answer_are_not_one() -> None:
    texts = pa.array(['{"kind": "bug", "level": 1}{"kind": "bug"}', "{", "}"])
    parsed = ANSWER.parse(texts)
    assert parsed is None or not ANSWER.read_all(texts, parsed)[1].any()


@pytest.mark.parametrize(
    "part",
    [
        {"type": "string", "pattern": "^a"},
        {"type": "string", "format": "date"},
        {"type": "integer", "multipleOf": 2},
        {"type": "integer", "minimum": 2**60},
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        {"enum": ["a", 1]},
        {"enum": [1, 2.5]},
        {"type": "integer", "enum": ["a"]},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        {"type": "object"},
        {"allOf": [{"type": "string"}]},
        {"type": ["string", "integer"]},
    ],
)
def test_a_rule_without_a_kernel_is_left_to_the_validator(part: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": part}}
    assert Bulk.for_schema(schema, AnswerType(schema).arrow) is None
    assert AnswerType(schema).parse(pa.array(["{}"])) is None


def test_lengths_are_counted_in_characters() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 2}}}
    answer = AnswerType(schema)
    texts = pa.array(['{"a": "日本"}', '{"a": "abc"}', '{"a": "\\ud83d\\ude00é"}'])
    assert np.array_equal(
        answer.read_all(texts, answer.parse(texts))[1], [True, False, True]
    )
