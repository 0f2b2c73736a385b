"""Result lines as they come over the wire, and as they might come one day."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nightbatch.ids import BatchId
from nightbatch.land.landing import Landing
from nightbatch.land.received import Received
from nightbatch.messages.answer_type import AnswerType
from nightbatch.money.prices import our_prices

TEXT = AnswerType()
MOOD = AnswerType(
    {
        "type": "object",
        "properties": {
            "mood": {"type": "string", "maxLength": 5},
            "score": {"type": "integer", "maximum": 9},
        },
        "required": ["mood", "score"],
    }
)
IDS = [bytes([number]) * 20 for number in range(4)]


def line(number: int, result: dict[str, Any]) -> bytes:
    return (
        json.dumps({"custom_id": IDS[number].hex(), "result": result}).encode() + b"\n"
    )


def message(
    *content: dict[str, Any], stop: str | None = "end_turn", **more: Any
) -> dict[str, Any]:
    usage = {"input_tokens": 10, "output_tokens": 5, "service_tier": "batch"}
    said = {
        "model": "claude-haiku-4-5-20251001",
        "content": list(content),
        "stop_reason": stop,
        "usage": usage,
    }
    return {"type": "succeeded", "message": {**said, **more}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def tool(value: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": "toolu_1", "name": "answer", "input": value}


def landing(answer: AnswerType = TEXT, count: int = 1) -> Landing:
    return Landing(answer, BatchId("msgbatch_1"), our_prices(), Received(IDS[:count]))


def land(result: dict[str, Any], answer: AnswerType = TEXT) -> dict[str, Any]:
    rows: list[dict[str, Any]] = landing(answer).add(line(0, result)).to_pylist()
    return rows[0]


GOOD = '{"mood": "glad", "score": 7}'
VALUE = {"mood": "glad", "score": 7}


def test_a_text_answers() -> None:
    row = land(message(text("hello")))
    assert (row["status"], row["answer"], row["error"]) == ("answered", "hello", None)


def test_several_texts_are_one_answer() -> None:
    assert land(message(text("one "), text("two")))["answer"] == "one two"


def test_thinking_before_the_answer_is_no_part_of_it() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "x"}
    assert (
        land(
            message(thinking, {"type": "redacted_thinking", "data": "x"}, text(GOOD)),
            MOOD,
        )["answer"]
        == VALUE
    )


@pytest.mark.parametrize(
    "content", [[], [{"type": "thinking", "thinking": "hm"}], [text("")]]
)
@pytest.mark.parametrize("answer", [TEXT, MOOD], ids=["text", "schema"])
def test_a_message_without_words_is_invalid(
    content: list[dict[str, Any]], answer: AnswerType
) -> None:
    row = land(message(*content), answer)
    assert (row["status"], row["answer"]) == ("invalid", None)
    assert row["error"]
    assert row["cost_usd"] > 0


def test_the_input_of_a_called_tool_is_the_answer() -> None:
    assert (
        land(message(text("I call it."), tool(VALUE), stop="tool_use"), MOOD)["answer"]
        == VALUE
    )
    assert json.loads(land(message(tool(VALUE), stop="tool_use"))["answer"]) == VALUE


def test_what_is_said_before_a_server_tool_is_no_part_of_a_structured_answer() -> None:
    found = {"type": "web_search_tool_result", "tool_use_id": "x", "content": []}
    assert (
        land(message(text("I look it up."), found, text(GOOD)), MOOD)["answer"] == VALUE
    )


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("Here you are: {}", "not JSON"),
        ("{}", "the answer breaks the schema's rule: required"),
        (
            '{"mood": "delighted", "score": 7}',
            "mood breaks the schema's rule: maxLength",
        ),
        ('{"mood": "glad", "score": 70}', "score breaks the schema's rule: maximum"),
        ('{"mood": null, "score": 7}', "mood breaks the schema's rule: type"),
        ("[" * 5_000, "not JSON"),
        ('{"mood": "\\ud800", "score": 7}', "not JSON"),
        ('{"mood": "glad", "score": 1e400}', ""),
    ],
)
def test_an_answer_that_breaks_the_author_s_schema_is_invalid(
    said: str, why: str
) -> None:
    row = land(message(text(said)), MOOD)
    assert (row["status"], row["answer"]) == ("invalid", None)
    assert why in row["error"]


def test_the_reason_shows_none_of_the_answer() -> None:
    assert (
        "delighted"
        not in land(message(text('{"mood": "delighted", "score": 7}')), MOOD)["error"]
    )


def test_a_number_beyond_its_column_is_invalid() -> None:
    wide = AnswerType({"type": "object", "properties": {"n": {"type": "integer"}}})
    row = land(message(text('{"n": 99999999999999999999}')), wide)
    assert (row["status"], row["error"]) == (
        "invalid",
        "a value does not fit its column's type",
    )


def test_a_whole_number_written_as_a_float_fits() -> None:
    assert (
        land(message(text('{"mood": "ok", "score": 7.0}')), MOOD)["answer"]["score"]
        == 7
    )


@pytest.mark.parametrize(
    ("stop", "status"),
    [("refusal", "refused"), ("max_tokens", "truncated"), ("pause_turn", "errored")],
)
def test_what_the_model_said_is_kept_but_is_no_answer(stop: str, status: str) -> None:
    row = land(message(text(GOOD), stop=stop), MOOD)
    assert (row["status"], row["answer"], row["text"]) == (status, None, GOOD)
    assert row["error"] == f"stop_reason {stop}"
    assert row["cost_usd"] > 0


def test_an_error_is_told_with_its_type_and_words() -> None:
    inner = {"type": "overloaded_error", "message": "Overloaded"}
    row = land(
        {
            "type": "errored",
            "error": {"type": "error", "error": inner, "request_id": "req_1"},
        }
    )
    assert (row["status"], row["error"], row["cost_usd"]) == (
        "errored",
        "overloaded_error: Overloaded",
        0,
    )


@pytest.mark.parametrize(
    "error", [None, {}, {"type": "error"}, {"type": "error", "error": {"type": None}}]
)
def test_an_error_that_says_nothing_is_errored(error: Any) -> None:
    row = land({"type": "errored", "error": error})
    assert row["status"] == "errored"
    assert row["error"]


@pytest.mark.parametrize(
    "result",
    [
        {"type": "deferred", "until": "tomorrow"},
        {"type": "succeeded"},
        {
            "type": "succeeded",
            "message": {"content": "a string", "stop_reason": "end_turn"},
        },
        {
            "type": "succeeded",
            "message": {"content": [{"type": 7}], "stop_reason": "end_turn"},
        },
        {"type": "succeeded", "message": "hello"},
    ],
)
def test_a_result_of_the_future_is_errored_with_its_name(
    result: dict[str, Any],
) -> None:
    row = land(result)
    assert row["status"] == "errored"
    assert result["type"] in row["error"]


def test_usage_of_the_future_and_missing_usage_are_taken_as_they_are() -> None:
    usage = {
        "input_tokens": 3,
        "output_tokens": None,
        "thinking_units": {"a": 1},
        "cache_creation_input_tokens": 4,
    }
    row = land(message(text("hi"), usage=usage))
    assert (row["input"], row["output"], row["cache_write_5m"]) == (3, 0, 4)
    assert land(message(text("hi"), usage=None))["cost_usd"] == 0


def test_half_a_surrogate_pair_in_an_answer_costs_only_that_character() -> None:
    assert land(message(text("hi \ud83d there")))["answer"] == "hi ? there"


def test_each_request_lands_once_and_strangers_are_counted() -> None:
    made = landing(count=2)
    one, other = line(0, message(text("a"))), line(0, message(text("b")))
    stranger = (
        json.dumps({"custom_id": "row-1", "result": {"type": "expired"}}).encode()
        + b"\n"
    )
    rows = made.add(
        one + one + other + stranger + b"\n{]\n" + line(1, {"type": "expired"})
    )
    assert [row["answer"] for row in rows.to_pylist()] == ["a", None]
    assert made.odd == {"repeated": 1, "differing": 1, "unknown": 1, "garbled": 1}


def test_a_second_reading_adds_what_the_first_lacked() -> None:
    made = landing(count=2)
    made.add(line(0, message(text("a"))))
    made.begin()
    rows = made.add(line(0, message(text("b"))) + line(1, message(text("c"))))
    assert rows.column("answer").to_pylist() == ["c"]
    assert made.odd == {}
    assert made.gap({"succeeded": 2}) is None


def test_a_gap_is_told() -> None:
    made = landing(count=2)
    made.add(line(0, message(text("a"))))
    assert "1 of 2 results" in str(made.gap({"succeeded": 2}))
    made.add(line(1, {"type": "expired"}))
    assert made.gap({"succeeded": 1, "expired": 1, "errored": 0}) is None
    assert made.odd == {}


def test_kinds_that_differ_from_the_counts_are_counted_and_the_lines_stand() -> None:
    made = landing(count=2)
    made.add(line(0, message(text("a"))) + line(1, {"type": "expired"}))
    assert made.gap({"succeeded": 2, "processing": 0}) is None
    assert made.odd == {"untallied": 1}


def test_what_no_line_spoke_of_is_missing() -> None:
    made = landing(count=2)
    made.add(line(0, message(text("a"))))
    rows = made.missing("gone").to_pylist()
    assert [(row["id"], row["status"], row["error"]) for row in rows] == [
        (IDS[1], "missing", "gone")
    ]
