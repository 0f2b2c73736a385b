"""Answers: valid for the schema asked for, the same for the same prompt, and in the ticket sample worth reading."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightbatch.emulator.responders.instance import instance
from nightbatch.emulator.settings import BatchDuration, Settings

TICKET = {
    "type": "object",
    "properties": {
        "category": {
            "enum": [
                "billing",
                "bug",
                "account",
                "shipping",
                "feature_request",
                "other",
            ]
        },
        "urgency": {
            "type": "integer",
            "description": "How urgent\n\n{minimum: 1, maximum: 5}",
        },
        "sentiment": {"enum": ["negative", "neutral", "positive"]},
        "summary": {"type": "string"},
        "needs_human": {"type": "boolean"},
    },
    "required": ["category", "urgency", "sentiment", "summary", "needs_human"],
    "additionalProperties": False,
}
TICKETS = Settings(
    responder="nightbatch.emulator.responders.builtin:tickets", pace=BatchDuration(0.01)
)


PATTERNS = (r"^[A-Z]{3}-\d{4}$", r"^(yes|no)$", r"^\d+\.\d{2}$")


def asking(schema):
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


def said(result):
    return result["message"]["content"][0]["text"]


def leaf() -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.just({"type": "boolean"}),
        st.just({"type": "null"}),
        st.just({"type": "number"}),
        st.sampled_from([{"type": "string", "format": form} for form in ("date", "date-time", "uuid", "email", "uri")]),
        st.builds(lambda low, span: {"type": "integer", "minimum": low, "maximum": low + span},
                  st.integers(-50, 50), st.integers(0, 50)),
        st.builds(lambda low, span: {"type": "number", "minimum": low, "maximum": low + span},
                  st.integers(-50, 50), st.integers(1, 50)),
        st.builds(lambda low, span: {"type": "string", "minLength": low, "maxLength": low + span},
                  st.integers(0, 300), st.integers(0, 50)),
        st.builds(lambda values: {"enum": values}, st.lists(st.one_of(st.text(), st.integers()), min_size=1)),
        st.builds(lambda value: {"const": value}, st.one_of(st.text(), st.booleans(), st.none())),
        st.sampled_from([{"type": "string", "pattern": pattern} for pattern in PATTERNS]),
        st.just({"$ref": "#/$defs/Shared"}),
    )  # fmt: skip


def deeper(
    inner: st.SearchStrategy[dict[str, Any]],
) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.builds(
            lambda items, least: {"type": "array", "items": items, "minItems": least},
            inner,
            st.integers(0, 2),
        ),
        st.builds(
            lambda variants: {"anyOf": variants},
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(
            lambda fields, some: {
                "type": "object",
                "properties": fields,
                "required": [name for name in fields if name in some],
                "additionalProperties": False,
            },
            st.dictionaries(st.sampled_from("abcdef"), inner, max_size=4),
            st.sets(st.sampled_from("abcdef")),
        ),
    )


@given(st.recursive(leaf(), deeper, max_leaves=8), st.text())
def test_an_instance_is_valid_for_any_schema_and_depends_on_nothing_but_the_text(
    schema, text
):
    schema |= {
        "$defs": {
            "Shared": {
                "type": "object",
                "properties": {"x": {"type": "integer"}},
                "required": ["x"],
            }
        }
    }
    made = instance(schema, text, seed=1)
    jsonschema_rs.validator_for(schema, validate_formats=True).validate(made)
    assert made == instance(schema, text, seed=1)


@pytest.mark.parametrize("text", ["AAAÀ", "ßßßß", "x" * 90, "–-–-"])
@pytest.mark.parametrize("text_format", ["email", "hostname", "uri"])
def test_an_address_is_one_whatever_the_letters_of_the_text(text_format, text):
    schema = {"type": "string", "format": text_format}
    made = instance(schema, text, seed=1)
    jsonschema_rs.validator_for(schema, validate_formats=True).validate(made)


def test_an_enum_value_that_the_text_names_is_chosen():
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "green", "blue"]}},
        "required": ["colour"],
    }
    assert instance(schema, "the sky is blue", seed=0) == {"colour": "blue"}


def test_bounds_are_kept_though_the_sdk_has_moved_them_into_the_description(desk):
    answers = [
        json.loads(said(desk.ask(f"ticket {number}", **asking(TICKET))))
        for number in range(5)
    ]
    assert all(1 <= answer["urgency"] <= 5 for answer in answers)


def test_different_prompts_get_different_answers_and_the_same_prompt_the_same(desk):
    one, two, again = (
        said(desk.ask(text))
        for text in ("about apples", "about oranges", "about apples")
    )
    assert one == again != two
    assert "apples" in one


def test_a_forced_tool_is_called_with_an_instance_of_its_schema(desk):
    tool = {"name": "triage", "input_schema": TICKET}
    result = desk.ask(
        "broken", tools=[tool], tool_choice={"type": "tool", "name": "triage"}
    )
    (block,) = result["message"]["content"]
    assert (block["type"], block["name"], result["message"]["stop_reason"]) == (
        "tool_use",
        "triage",
        "tool_use",
    )
    jsonschema_rs.validator_for(TICKET).validate(block["input"])


@pytest.mark.parametrize(("text", "expected"), [
    ("I was charged twice on my last invoice. Please refund me.", {"category": "billing", "needs_human": True}),
    ("The app crashes with an error whenever I save!", {"category": "bug"}),
    ("I forgot my password and my account is locked.", {"category": "account"}),
    ("My parcel has not been delivered, tracking says lost.", {"category": "shipping"}),
    ("A dark mode feature would be nice, thanks!", {"category": "feature_request", "sentiment": "positive"}),
    ("What are your opening hours?", {"category": "other", "sentiment": "neutral", "urgency": 2}),
    ("URGENT: production outage, this is unacceptable!", {"urgency": 5, "sentiment": "negative", "needs_human": True}),
])  # fmt: skip
def test_a_ticket_is_triaged_by_what_it_says(open_desk, text, expected):
    with open_desk(TICKETS) as desk:
        answer = json.loads(said(desk.ask(text, **asking(TICKET))))
    jsonschema_rs.validator_for(TICKET).validate(answer)
    assert expected.items() <= answer.items()
    assert answer["summary"].split()[0] in text


def test_a_ticket_schema_with_more_fields_gets_them_too(open_desk):
    schema = TICKET | {
        "properties": TICKET["properties"] | {"language": {"enum": ["en", "de"]}},
        "required": [*TICKET["required"], "language"],
    }
    with open_desk(TICKETS) as desk:
        answer = json.loads(said(desk.ask("My invoice is wrong", **asking(schema))))
    assert answer["category"] == "billing"
    assert answer["language"] in {"en", "de"}


def test_the_ticket_responder_answers_other_schemas_as_well(open_desk):
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    with open_desk(TICKETS) as desk:
        assert isinstance(json.loads(said(desk.ask(**asking(schema))))["n"], int)


def test_a_long_answer_is_cut_at_max_tokens(desk):
    message = desk.ask("a rather long prompt " * 9, max_tokens=5)["message"]
    assert message["stop_reason"] == "max_tokens"
    assert message["usage"]["output_tokens"] == 5
    assert len(said({"message": message})) == 20


def test_an_answer_ends_before_a_stop_sequence(desk):
    message = desk.ask("apples and oranges", stop_sequences=["apples"])["message"]
    assert (message["stop_reason"], message["stop_sequence"]) == (
        "stop_sequence",
        "apples",
    )
    assert "apples" not in said({"message": message})


MINE = """
from nightbatch.emulator.reply import Failure, Reply

KINDS = {
    "text": "plain",
    "json": {"a": 1},
    "reply": Reply("half", stop_reason="pause_turn", output_tokens=77),
    "failure": Failure("overloaded_error", "Overloaded"),
}

def answer(params):
    return KINDS[params["messages"][0]["content"]]
"""


def test_a_responder_of_ones_own_may_return_text_json_a_whole_reply_or_a_failure(
    open_desk, monkeypatch, tmp_path
):
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    with open_desk(Settings(responder="mine:answer", pace=BatchDuration(0.01))) as desk:
        results = {
            kind: desk.ask(kind)
            for kind in ("text", "json", "reply", "failure", "unknown")
        }
    assert said(results["text"]) == "plain"
    assert json.loads(said(results["json"])) == {"a": 1}
    assert results["reply"]["message"]["stop_reason"] == "pause_turn"
    assert results["reply"]["message"]["usage"]["output_tokens"] == 77
    assert results["failure"]["error"]["error"] == {
        "type": "overloaded_error",
        "message": "Overloaded",
    }
    assert (
        "the responder failed: KeyError"
        in results["unknown"]["error"]["error"]["message"]
    )
