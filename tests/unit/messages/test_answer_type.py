"""A schema becomes columns, and what a model writes becomes values of them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.schema import api_schema

STRING = {"type": "string"}


def of(**properties: Any) -> AnswerType:
    return AnswerType({"type": "object", "properties": properties})


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        (STRING, pa.string()),
        ({"type": "integer", "minimum": 1}, pa.int64()),
        ({"type": "number"}, pa.float64()),
        ({"type": "boolean"}, pa.bool_()),
        ({"enum": ["a", "b"]}, pa.string()),
        ({"enum": [1, 2.5]}, pa.float64()),
        ({"const": True}, pa.bool_()),
        ({"type": "string", "format": "date"}, pa.date32()),
        ({"type": "string", "format": "date-time"}, pa.timestamp("us", "UTC")),
        ({"type": "string", "format": "time"}, pa.time64("us")),
        ({"type": "array", "items": STRING}, pa.list_(pa.string())),
        ({"type": ["string", "null"]}, pa.string()),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, pa.int64()),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, pa.float64()),
        ({"anyOf": [STRING, {"type": "integer"}]}, pa.string()),
        (
            {"type": "object", "properties": {"x": {"type": "integer"}}},
            pa.struct([("x", pa.int64())]),
        ),
        ({"type": "object"}, pa.string()),
    ],
)
def test_each_part_of_a_schema_has_its_column_type(
    schema: dict[str, Any], kind: pa.DataType
) -> None:
    assert of(a=schema).fields == [pa.field("a", kind)]


def test_without_a_schema_the_answer_is_one_text() -> None:
    assert AnswerType().fields == [pa.field("answer", pa.string())]
    assert AnswerType().read("hello") == ("hello", None)


def test_values_take_the_form_of_their_columns() -> None:
    answer = of(
        day={"type": "string", "format": "date"},
        any={"anyOf": [STRING, {"type": "integer"}]},
    )
    value, why = answer.read('{"day": "2026-11-21", "any": 7}')
    assert why is None
    column, unfit = answer.columns([value, None])
    assert column.to_pylist() == [{"day": dt.date(2026, 11, 21), "any": "7"}, None]
    assert unfit == []


def test_a_value_that_does_not_fit_spoils_only_its_own_row() -> None:
    column, unfit = of(n={"type": "integer"}).columns(
        [{"n": 1}, {"n": 2**70}, {"n": 3}]
    )
    assert unfit == [1]
    assert column.to_pylist() == [{"n": 1}, None, {"n": 3}]


def test_formats_are_checked() -> None:
    assert of(day={"type": "string", "format": "date"}).read('{"day": "soon"}')[1] == (
        "day breaks the schema's rule: format"
    )


def test_what_the_api_does_not_know_moves_into_the_description() -> None:
    bounded = {
        "type": "integer",
        "minimum": 1,
        "maximum": 5,
        "description": "How urgent.",
    }
    sent = api_schema(
        {
            "type": "object",
            "properties": {"n": bounded},
            "required": ["n"],
            "title": "T",
        }
    )
    assert sent["properties"]["n"] == {
        "type": "integer",
        "description": "How urgent.\n\n{minimum: 1, maximum: 5}",
    }
    assert sent["additionalProperties"] is False


def test_a_list_of_types_becomes_alternatives() -> None:
    sent = api_schema(
        {
            "type": "object",
            "properties": {"a": {"type": ["string", "null"], "maxLength": 3}},
        }
    )
    assert [part["type"] for part in sent["properties"]["a"]["anyOf"]] == [
        "string",
        "null",
    ]
