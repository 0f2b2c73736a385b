"""The table of outcomes, row by row; what it does not know is never an answer."""

from __future__ import annotations

import pytest

from nightbatch.messages.outcome import (
    SETTLED,
    TABLE,
    UNREADABLE,
    Status,
    most_common_error,
    status_of_error,
    status_of_stop,
    status_of_type,
)

STOPS = {
    "end_turn": "answered",
    "stop_sequence": "answered",
    "tool_use": "answered",
    "refusal": "refused",
    "max_tokens": "truncated",
    "model_context_window_exceeded": "truncated",
    "pause_turn": "errored",
}
ERRORS = {
    "invalid_request_error": "rejected",
    "not_found_error": "rejected",
    "request_too_large": "rejected",
    "api_error": "errored",
    "overloaded_error": "errored",
    "rate_limit_error": "errored",
    "timeout_error": "errored",
    "billing_error": "errored",
    "permission_error": "errored",
    "authentication_error": "errored",
}


def test_every_row_of_the_table_is_spoken_of_here() -> None:
    told = {("succeeded", stop) for stop in STOPS} | {
        ("errored", kind) for kind in ERRORS
    }
    assert set(TABLE) == told | {("canceled", ""), ("expired", "")}


@pytest.mark.parametrize(("stop", "status"), STOPS.items())
def test_why_the_model_stopped(stop: str, status: str) -> None:
    assert status_of_stop(stop)[0] == status


@pytest.mark.parametrize(("kind", "status"), ERRORS.items())
def test_what_an_errored_result_says(kind: str, status: str) -> None:
    assert status_of_error(kind, "some message")[0] == status


@pytest.mark.parametrize("kind", ["canceled", "expired"])
def test_results_without_a_message(kind: str) -> None:
    assert status_of_type(kind) == (Status(kind), kind)


@pytest.mark.parametrize("stop", ["compute_budget", "END_TURN"])
def test_a_stop_reason_of_the_future_is_errored_with_its_name(stop: str) -> None:
    assert status_of_stop(stop) == (Status.ERRORED, f"stop_reason {stop}")


@pytest.mark.parametrize("kind", ["deferred", "succeeded", "errored"])
def test_a_result_type_of_the_future_is_errored_with_its_name(kind: str) -> None:
    assert status_of_type(kind) == (Status.ERRORED, f"result type {kind}")


@pytest.mark.parametrize("name", ["", "the patient's name"])
def test_what_is_no_name_is_errored_and_not_quoted(name: str) -> None:
    assert status_of_stop(name) == (Status.ERRORED, f"stop_reason {UNREADABLE}")
    assert status_of_stop(None) == (Status.ERRORED, f"stop_reason {UNREADABLE}")
    assert status_of_type(name) == (Status.ERRORED, f"result type {UNREADABLE}")


def test_an_error_type_of_the_future_is_errored_and_asked_again() -> None:
    assert status_of_error("quantum_error", "the cat is dead") == (
        Status.ERRORED,
        False,
    )


def test_answers_and_refusals_are_settled_and_nothing_else() -> None:
    assert {"answered", "refused", "truncated", "rejected"} == SETTLED


@pytest.mark.parametrize(
    ("kind", "message", "code"),
    [
        (
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            "",
        ),
        (
            "invalid_request_error",
            "Please go to Plans & Billing to upgrade or purchase credits.",
            "",
        ),
        (
            "invalid_request_error",
            "You have reached your specified API usage limits.",
            "",
        ),
        ("invalid_request_error", "This organization has been disabled.", ""),
        ("invalid_request_error", "Try later.", "organization_on_hold"),
        ("rate_limit_error", "Too much.", "enforced_spend_limit_reached"),
        ("billing_error", "There is an issue.", ""),
        ("permission_error", "No.", ""),
        ("authentication_error", "invalid x-api-key", ""),
    ],
)
def test_trouble_with_the_account_is_never_a_row_s_fault(
    kind: str, message: str, code: str
) -> None:
    assert status_of_error(kind, message, code) == (Status.ERRORED, True)


def test_a_field_named_credit_score_is_no_trouble_with_the_account() -> None:
    message = "output_config.format.schema: property 'credit_score' has no type"
    assert status_of_error("invalid_request_error", message) == (Status.REJECTED, False)


def test_the_most_common_error_is_named_by_type_and_field_without_the_api_s_words() -> (
    None
):
    told = most_common_error(
        {"a: fetch https://example.com/secret?x=1 failed": 3, "b": 2}
    )
    assert told == "a"
    field = most_common_error(
        {"invalid_request_error: messages.0.content: PATIENT JANE DOE": 1}
    )
    assert field == "invalid_request_error at messages.0.content"
    assert len(most_common_error({"x" * 5_000: 1})) < 300
    assert most_common_error({}) == "no reason was given"
