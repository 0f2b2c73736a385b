"""Times in an answer are typed columns, however the model has written them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pyarrow as pa
import pytest
from pydantic import BaseModel

from nightbatch.messages.answer_type import AnswerType


class Opening(BaseModel):
    """What a model is asked for."""

    opens: dt.time
    since: dt.datetime | None
    breaks: list[dt.time]


ANSWER = AnswerType(Opening.model_json_schema())
NOON = dt.time(12)


def answer(**changes: Any) -> str:
    return json.dumps({"opens": "12:00", "since": None, "breaks": []} | changes)


def test_times_have_columns_of_their_own() -> None:
    assert ANSWER.fields == [
        pa.field("opens", pa.time64("us")),
        pa.field("since", pa.timestamp("us", "UTC")),
        pa.field("breaks", pa.list_(pa.time64("us"))),
    ]


@pytest.mark.parametrize(
    "text", ["12:00", "12:00:00", "12:00:00.0", "12:00:00Z", "12:00:00+02:00"]
)
def test_a_time_without_a_zone_is_an_answer(text: str) -> None:
    texts = pa.array([answer(opens=text, breaks=[text])])
    values, is_answer = ANSWER.read_all(texts, ANSWER.parse(texts))
    assert is_answer.tolist() == [True]
    assert values.to_pylist() == [{"opens": NOON, "since": None, "breaks": [NOON]}]


@pytest.mark.parametrize(
    "text", ["2026-11-29T00:00:00", "2026-11-29 00:00:00Z", "2026-11-29"]
)
def test_a_date_time_without_a_zone_is_utc(text: str) -> None:
    texts = pa.array([answer(since=text)])
    values, _ = ANSWER.read_all(texts, ANSWER.parse(texts))
    assert values.to_pylist()[0]["since"] == dt.datetime(2026, 11, 29, tzinfo=dt.UTC)


def test_what_is_no_time_costs_only_its_own_row() -> None:
    texts = pa.array([answer(), answer(opens="23:59:60Z"), answer(breaks=["soon"])])
    _, is_answer = ANSWER.read_all(texts, ANSWER.parse(texts))
    assert is_answer.tolist() == [True, False, False]
    assert ANSWER.read(texts[1].as_py()) == (
        None,
        "opens breaks the schema's rule: format",
    )
