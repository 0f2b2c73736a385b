"""What an API or a gateway says is read to decide, and shown to nobody: it may quote a row, or a terminal sequence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.real.security.api.hosts import BATCH, Host, batch

from nightbatch.errors import (
    AccountStopped,
    ApiError,
    ApiUnavailable,
    MaybeSent,
    NotSent,
)
from nightbatch.ids import BatchId
from nightbatch.io.anthropic_sdk.batches import AnthropicBatches
from nightbatch.land.judge import verdict
from nightbatch.land.landing import Landing
from nightbatch.land.received import Received
from nightbatch.messages import account
from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.outcome import UNREADABLE, most_common_error, status_of_error
from nightbatch.messages.result_lines import decode
from nightbatch.messages.safe_words import field, printable, shown
from nightbatch.ports import Body

PATIENT = "PATIENT JANE DOE HIV+"
HOSTILE = (
    f'bad value "{PATIENT}"\n2026-11-27 ERROR forged line \x1b[31mred\x1b[0m \x07\u202e'
)
CREATE = "POST /v1/messages/batches"
RETRIEVE = f"GET /v1/messages/batches/{BATCH}"


def failing(
    host: Host, line: str, status: int, inner: dict[str, Any], **headers: str
) -> None:
    """Let the host answer with an error."""
    host.says(line, {"type": "error", "error": inner}, status, **headers)


def created(api: AnthropicBatches) -> Exception:
    """Return what a create raises."""
    with pytest.raises(ApiError) as raised:
        api.create(Body(2, iter([b"{}"])))
    return raised.value


# Exceptions.


@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 409, 413, 418, 429, 500, 503, 529]
)
def test_an_exception_holds_none_of_the_api_s_words(
    api: AnthropicBatches, host: Host, status: int
) -> None:
    inner = {"type": HOSTILE, "message": HOSTILE, "details": {"error_code": HOSTILE}}
    failing(host, CREATE, status, inner, **{"request-id": PATIENT})
    failing(host, RETRIEVE, status, inner, **{"request-id": PATIENT})
    with pytest.raises(ApiError) as raised:
        api.batch(BatchId(BATCH))
    for error in (created(api), raised.value):
        message = str(error)
        assert PATIENT not in message
        assert message.isprintable()
        assert f"the API answered {status} error" in message


def test_an_exception_names_type_status_code_field_and_request_id(
    api: AnthropicBatches, host: Host
) -> None:
    message = f"requests.0.params.max_tokens: {HOSTILE}"
    inner = {
        "type": "invalid_request_error",
        "message": message,
        "details": {"error_code": "out_of_range"},
    }
    failing(host, CREATE, 400, inner, **{"request-id": "req_01AB"})
    says = "400 invalid_request_error at requests.0.params.max_tokens, out_of_range, request-id req_01AB."
    assert str(created(api)) == f"the API answered {says}"


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ("requests.0.params.max_tokens: 0", "requests.0.params.max_tokens"),
        ("messages[3].content[0].text: x", "messages[3].content[0].text"),
        ("temperature: too hot", "temperature"),
        (f"{PATIENT}: x", ""),
        ("jane doe: x", ""),
        ("no path", ""),
        ("über.alles: x", ""),
    ],
)
def test_a_path_is_that_of_a_field(message: str, path: str) -> None:
    assert (field(message) or "") == path


# Rows.


def landed(*results: dict[str, Any]) -> Landing:
    """Land the results of one shard."""
    import pyarrow as pa

    from nightbatch.columnar.custom_ids import custom_ids
    from nightbatch.money.prices import prices

    raw = pa.array(
        [number.to_bytes(20, "big") for number in range(len(results))], pa.binary(20)
    )
    landing = Landing(AnswerType(None), BatchId(BATCH), prices(), Received(raw))
    names = custom_ids(raw).to_pylist()
    text = ""
    for name, result in zip(names, results, strict=True):
        line = json.dumps({"custom_id": name, "result": result})
        text += f"{line}\n"
    landing.add(text.encode())
    return landing


def errored(kind: str, message: str, **more: Any) -> dict[str, Any]:
    """Return an errored result."""
    return {
        "type": "errored",
        "error": {"type": "error", "error": {"type": kind, "message": message, **more}},
    }


def test_a_row_s_error_keeps_the_words_without_control_characters() -> None:
    (line,) = decode(
        json.dumps({"custom_id": "a", "result": errored("api_error", HOSTILE)}).encode()
    )
    assert line is not None
    error = verdict(line.result, AnswerType(None)).error or ""
    assert PATIENT in error
    assert error.isprintable()
    assert len(verdict(line.result, AnswerType(None)).error or "") < 1_100


def test_what_is_counted_of_a_shard_s_errors_holds_no_words() -> None:
    landing = landed(
        errored("invalid_request_error", f"temperature: {HOSTILE}"),
        errored(HOSTILE, HOSTILE),
        errored("billing_error", HOSTILE),
        {"type": HOSTILE},
        {"type": "succeeded", "message": {"content": [], "stop_reason": HOSTILE}},
    )
    assert dict(landing.errors) == {
        "invalid_request_error at temperature": 1, "error": 1, "billing_error": 1,
        f"result type {UNREADABLE}": 1, f"stop_reason {UNREADABLE}": 1,
    }  # fmt: skip
    assert landing.account == "billing_error"
    assert PATIENT not in str(landing.gap({HOSTILE: 9}))


def test_the_most_common_error_is_counted_by_type_and_field() -> None:
    errors = {
        "api_error: Jane": 2,
        "api_error: John": 2,
        "invalid_request_error: model: x": 3,
        "expired": 1,
    }
    assert most_common_error(errors) == "api_error"
    assert most_common_error({}) == "no reason was given"


def test_an_error_of_ours_is_shown_as_it_is_but_cut() -> None:
    assert (
        shown("not in the results of batch msgbatch_1.")
        == "not in the results of batch msgbatch_1"
    )
    assert len(shown("x" * 5_000)) == 200


def test_printable_text_has_no_terminal_sequence_and_no_line_break() -> None:
    assert printable("a\x1b[31mb\r\nc\x00d\u2028e\u202ef") == "a[31mb cd ef"


# The account.

TYPES = sorted(account.ERROR_TYPES)
WORDS = [
    "Your credit balance is too low", "Please purchase credits", "Go to Plans & Billing",
    "You have reached your specified API usage limits", "over the spend limit", "Your spending limit is reached",
    "This organization has been disabled", "The organisation is on hold", "organization on hold",
]  # fmt: skip
STATUS = {"authentication_error": 401, "billing_error": 402, "permission_error": 403}


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        *(
            ("invalid_request_error", code, "Try later.")
            for code in sorted(account.ERROR_CODES)
        ),
        *((kind, "", "No.") for kind in TYPES),
        *(("invalid_request_error", "", words) for words in WORDS),
    ],
)
def test_a_call_and_a_row_agree_on_what_is_the_account_s_fault(
    api: AnthropicBatches, host: Host, kind: str, code: str, message: str
) -> None:
    inner = {
        "type": kind,
        "message": message,
        "details": {"error_code": code} if code else None,
    }
    status = STATUS.get(kind, 400)
    failing(host, CREATE, status, inner)
    failing(host, RETRIEVE, status, inner)
    assert isinstance(created(api), AccountStopped)
    with pytest.raises(AccountStopped):
        api.batch(BatchId(BATCH))
    assert status_of_error(kind, message, code)[1]


def test_a_code_that_is_not_known_is_the_account_s_on_a_create_only(
    api: AnthropicBatches, host: Host
) -> None:
    inner = {
        "type": "invalid_request_error",
        "message": "No.",
        "details": {"error_code": "new_policy"},
    }
    failing(host, CREATE, 400, inner)
    failing(host, RETRIEVE, 400, inner)
    assert "new_policy" in str(created(api))
    assert isinstance(created(api), AccountStopped)
    with pytest.raises(ApiUnavailable):
        api.batch(BatchId(BATCH))
    assert not status_of_error("invalid_request_error", "No.", "new_policy")[1]


@pytest.mark.parametrize(
    ("inner", "headers"),
    [
        (
            {"message": "Slow.", "details": {"error_code": "ramp_limit_exceeded"}},
            {"retry-after": "5"},
        ),
        ({"message": "Slow.", "details": {"error_code": "ramp_limit_exceeded"}}, {}),
        (
            {"message": "Slow.", "details": {"error_code": "new_limit"}},
            {"retry-after": "5"},
        ),
        (
            {
                "message": "requests.0.custom_id: no",
                "details": {"error_code": "bad_field"},
            },
            {},
        ),
    ],
)
def test_a_code_that_asks_to_come_back_or_names_a_field_is_not_the_account_s(
    api: AnthropicBatches, host: Host, inner: dict[str, Any], headers: dict[str, str]
) -> None:
    failing(host, CREATE, 429, {"type": "rate_limit_error", **inner}, **headers)
    error = created(api)
    assert isinstance(error, NotSent)
    assert error.retryable


@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_an_account_s_code_does_not_make_a_maybe_a_definite_no(
    api: AnthropicBatches, host: Host, status: int
) -> None:
    inner = {
        "type": "billing_error",
        "message": "credit balance",
        "details": {"error_code": "organization_on_hold"},
    }
    failing(host, CREATE, status, inner)
    assert isinstance(created(api), MaybeSent)


def test_a_field_that_quotes_a_row_about_billing_stops_no_run(
    api: AnthropicBatches, host: Host
) -> None:
    message = "messages.0.content: 'my billing question'"
    assert status_of_error("invalid_request_error", message) == ("rejected", False)


def test_a_full_queue_is_recognised_by_words_that_are_not_shown(
    api: AnthropicBatches, host: Host
) -> None:
    failing(
        host,
        CREATE,
        429,
        {"type": "rate_limit_error", "message": f"the queue is full of {PATIENT}"},
    )
    error = created(api)
    assert isinstance(error, NotSent)
    assert error.full
    assert PATIENT not in str(error)


def test_a_batch_whose_counts_have_odd_names_is_unreadable(
    api: AnthropicBatches, host: Host
) -> None:
    host.says(CREATE, batch(request_counts={PATIENT: 1}))
    error = created(api)
    assert isinstance(error, MaybeSent)
    assert PATIENT not in str(error)
