"""Faults on single requests and on whole batches: errored, expired, refused, spoilt; never ending, out of credit."""

import json

import pytest

from nightbatch.emulator.settings import DAY

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
FORM = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}


def spoilt(desk, what, **options):
    desk.emulator.faults({"where": "row", "what": what, **options}, replace=True)
    return desk.ask("Some text to be answered", **FORM)


@pytest.mark.parametrize("kind", [
    "api_error", "overloaded_error", "rate_limit_error", "timeout_error", "invalid_request_error", "not_found_error",
])  # fmt: skip
def test_a_row_may_be_errored_in_every_kind(desk, kind):
    result = spoilt(desk, "errored", type=kind)
    assert result["type"] == "errored"
    assert result["error"]["error"]["type"] == kind
    assert result["error"]["error"]["message"]


def test_a_row_may_speak_of_the_credit_balance(desk):
    message = "Your credit balance is too low to access the Anthropic API."
    result = spoilt(desk, "errored", type="invalid_request_error", message=message)
    assert result["error"]["error"]["message"] == message


@pytest.mark.parametrize("what", ["expired", "canceled"])
def test_a_row_may_expire_or_be_canceled_alone(desk, what):
    assert spoilt(desk, what) == {"type": what}


@pytest.mark.parametrize(("what", "stopped"), [
    ("refusal", "refusal"),
    ("max_tokens", "max_tokens"),
    ("context_window", "model_context_window_exceeded"),
    ("pause_turn", "pause_turn"),
    ("unknown_stop", "compute_budget"),
])  # fmt: skip
def test_an_answer_that_is_none_is_succeeded_on_the_wire_and_billed(
    desk, what, stopped
):
    result = spoilt(desk, what)
    assert result["type"] == "succeeded"
    assert result["message"]["stop_reason"] == stopped
    assert result["message"]["usage"]["output_tokens"] > 0
    assert desk.emulator.books()["cost_usd"] > 0


def test_a_refusal_has_its_details(desk):
    assert spoilt(desk, "refusal")["message"]["stop_details"]["type"] == "refusal"


def test_an_answer_may_be_no_json(desk):
    with pytest.raises(json.JSONDecodeError):
        json.loads(spoilt(desk, "invalid_json")["message"]["content"][0]["text"])


def test_an_answer_may_be_json_of_another_schema(desk):
    assert "a" not in json.loads(
        spoilt(desk, "wrong_schema")["message"]["content"][0]["text"]
    )


def test_an_answer_may_have_no_content(desk):
    assert spoilt(desk, "empty")["message"]["content"] == []


def test_an_answer_may_be_all_thinking(desk):
    assert [
        block["type"] for block in spoilt(desk, "thinking_only")["message"]["content"]
    ] == ["thinking"]


def test_a_share_of_the_rows_is_struck_the_same_rows_for_the_same_seed(desk):
    struck = []
    for seed in (1, 1, 2):
        desk.emulator.reset()
        desk.emulator.faults(
            {"where": "row", "what": "errored", "probability": 0.2, "seed": seed}
        )
        results = desk.run(desk.items(200))
        struck.append(
            {name for name, result in results.items() if result["type"] == "errored"}
        )
    assert struck[0] == struck[1] != struck[2]
    assert 20 < len(struck[0]) < 60


def test_a_row_that_is_asked_again_has_another_chance(desk):
    desk.emulator.faults({"where": "row", "what": "errored", "probability": 0.5})
    left = desk.items(64)
    for _ in range(20):
        results = desk.run(left)
        left = [
            item for item in left if results[item["custom_id"]]["type"] == "errored"
        ]
        if not left:
            break
    assert not left


@pytest.mark.parametrize(
    "match", [{"custom_id": "row-[34]"}, {"text": "row 3"}, {"model": "claude-haiku.*"}]
)
def test_rows_can_be_picked_by_what_they_are(desk, match):
    desk.emulator.faults({"where": "row", "what": "expired", "match": match})
    results = desk.run(desk.items(6))
    struck = {name for name, result in results.items() if result["type"] == "expired"}
    assert struck == {
        "custom_id": {"row-3", "row-4"},
        "text": {"row-3"},
        "model": set(results),
    }[next(iter(match))]  # fmt: skip


def test_several_kinds_can_be_mixed(desk):
    desk.emulator.faults(
        {"where": "row", "what": "expired", "match": {"custom_id": "row-0"}},
        {"where": "row", "what": "errored", "match": {"custom_id": "row-1"}},
        {"where": "row", "what": "canceled", "match": {"custom_id": "row-2"}},
    )
    batch = desk.create(desk.items(5))
    counts = desk.ended(batch.id)["request_counts"]
    assert counts == {
        "processing": 0,
        "succeeded": 2,
        "errored": 1,
        "canceled": 1,
        "expired": 1,
    }


def test_row_faults_hold_for_batches_created_while_they_are_set(desk):
    desk.emulator.faults({"where": "row", "what": "expired"})
    struck = desk.create(desk.items(1))
    desk.emulator.clear_faults()
    spared = desk.create(desk.items(1))
    counts = [
        desk.ended(batch.id)["request_counts"]["expired"] for batch in (struck, spared)
    ]
    assert counts == [1, 0]


def test_a_batch_may_never_end_until_it_expires(desk):
    desk.emulator.faults({"where": "batch", "what": "never_ends", "at": 0.3})
    batch = desk.create(desk.items(10))
    desk.emulator.advance(DAY - 60)
    assert desk.retrieve(batch.id)["processing_status"] == "in_progress"
    desk.emulator.advance(61)
    counts = desk.retrieve(batch.id)["request_counts"]
    assert (counts["succeeded"], counts["expired"]) == (3, 7)


def test_a_batch_may_be_canceled_from_outside(desk):
    desk.emulator.faults(
        {"where": "batch", "what": "canceled", "at": 0.5},
        {"where": "batch", "what": "slow", "seconds": 100},
    )
    batch = desk.create(desk.items(10))
    assert desk.retrieve(batch.id)["cancel_initiated_at"] is None
    desk.emulator.advance(60)
    ended = desk.retrieve(batch.id)
    assert ended["cancel_initiated_at"] is not None
    assert (
        ended["request_counts"]["succeeded"],
        ended["request_counts"]["canceled"],
    ) == (5, 5)


def test_the_credit_may_run_out_midway(desk):
    desk.emulator.faults({"where": "batch", "what": "credit_out", "at": 0.75})
    results = desk.run(desk.items(20))
    errors = [
        result["error"]["error"]
        for result in results.values()
        if result["type"] == "errored"
    ]
    assert len(errors) == 5
    assert all("credit balance is too low" in error["message"] for error in errors)
    assert {error["type"] for error in errors} == {"invalid_request_error"}


def test_one_batch_of_several_may_be_slow(desk):
    desk.emulator.faults({"where": "batch", "what": "slow", "seconds": 500, "nth": 2})
    made = [desk.create(desk.items(1)) for _ in range(3)]
    desk.emulator.advance(10)
    assert [desk.retrieve(batch.id)["processing_status"] for batch in made] == [
        "ended",
        "in_progress",
        "ended",
    ]
