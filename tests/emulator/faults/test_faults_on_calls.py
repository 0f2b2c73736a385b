"""Faults on calls: what happens to the connection or the status, before or after the API has acted."""

import time

import anthropic
import httpx
import pytest

from nightbatch.emulator.faults.kinds import ERROR_KINDS

CREATE = {"where": "create"}


def created(desk):
    return desk.emulator.books()["batches"]["created"]


def test_a_connection_dropped_before_leaves_no_batch(desk):
    desk.emulator.faults(CREATE | {"what": "drop_before", "nth": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        desk.post(desk.items(1))
    assert created(desk) == 0
    assert desk.post(desk.items(1)).status_code == 200


def test_a_connection_dropped_after_leaves_a_batch_that_nobody_was_told_of(desk):
    desk.emulator.faults(CREATE | {"what": "drop_after", "nth": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        desk.post(desk.items(1))
    assert created(desk) == 1
    assert desk.emulator.books()["calls"]["create"] == {"dropped": 1}


def test_a_connection_can_be_reset_instead_of_closed(desk):
    desk.emulator.faults(CREATE | {"what": "drop_after", "reset": True})
    with pytest.raises(httpx.ReadError):
        desk.post(desk.items(1))


def test_the_sdks_retries_buy_a_second_batch_when_the_answer_is_lost(desk):
    desk.emulator.faults(CREATE | {"what": "drop_after", "nth": 1})
    client = anthropic.Anthropic(base_url=desk.emulator.url, api_key="k")
    client.messages.batches.create(requests=desk.items(1))
    assert desk.emulator.books()["accepted"]["twice_across_batches"] == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("after", [False, True])
def test_a_5xx_may_come_before_or_after_the_batch_is_created(desk, status, after):
    desk.emulator.faults(CREATE | {"what": "status", "status": status, "after": after})
    assert desk.post(desk.items(1)).status_code == status
    assert created(desk) == int(after)


@pytest.mark.parametrize("after", [False, True])
def test_an_answer_may_come_later_than_the_client_waits(desk, after):
    desk.emulator.faults(CREATE | {"what": "delay", "seconds": 0.5, "after": after})
    with pytest.raises(httpx.ReadTimeout):
        desk.post(desk.items(1), timeout=0.2)
    time.sleep(0.5)
    assert created(desk) == int(after)


def test_a_slow_answer_comes_in_the_end(desk):
    desk.emulator.faults(CREATE | {"what": "delay", "seconds": 0.3})
    began = time.monotonic()
    assert desk.post(desk.items(1)).status_code == 200
    assert time.monotonic() - began >= 0.3


def test_a_call_may_stall_for_ever(desk):
    desk.emulator.faults({"where": "retrieve", "what": "stall"})
    batch = desk.create(desk.items(1))
    with pytest.raises(httpx.ReadTimeout):
        desk.http.get(f"/v1/messages/batches/{batch.id}", timeout=0.2)


EXPECTED = {
    "status": (500, "api_error"),
    "api_error": (500, "api_error"),
    "bad_gateway": (502, None),
    "unavailable": (503, None),
    "timeout": (504, "timeout_error"),
    "overloaded": (529, "overloaded_error"),
    "rate_limit": (429, "rate_limit_error"),
    "ramp_limit": (429, "rate_limit_error"),
    "spend_limit": (429, "rate_limit_error"),
    "queue_full": (429, "rate_limit_error"),
    "usage_limit": (400, "invalid_request_error"),
    "credit": (400, "invalid_request_error"),
    "on_hold": (400, "invalid_request_error"),
    "unauthorized": (401, "authentication_error"),
    "billing": (402, "billing_error"),
    "permission": (403, "permission_error"),
    "not_found": (404, "not_found_error"),
    "conflict": (409, "conflict_error"),
    "too_large": (413, None),
}


def test_every_kind_of_error_is_expected():
    assert EXPECTED.keys() == ERROR_KINDS.keys()


@pytest.mark.parametrize("what", EXPECTED)
def test_every_kind_of_error_can_be_told_and_creates_nothing(desk, what):
    desk.emulator.faults(CREATE | {"what": what})
    answer = desk.post(desk.items(1))
    status, kind = EXPECTED[what]
    assert answer.status_code == status
    if kind is None:
        assert answer.headers["content-type"].startswith("text/html")
        assert "<html>" in answer.text
    else:
        assert answer.json()["type"] == "error"
        assert answer.json()["error"]["type"] == kind
    assert answer.headers["request-id"]
    assert created(desk) == 0


@pytest.mark.parametrize(("what", "code", "waits"), [
    ("rate_limit", None, True),
    ("ramp_limit", "ramp_limit_exceeded", True),
    ("spend_limit", "enforced_spend_limit_reached", False),
    ("queue_full", None, True),
])  # fmt: skip
def test_a_429_says_by_its_details_and_headers_which_it_is(desk, what, code, waits):
    desk.emulator.faults(CREATE | {"what": what})
    answer = desk.post(desk.items(1))
    assert answer.json()["error"].get("details", {}).get("error_code") == code
    assert ("retry-after" in answer.headers) is waits


def test_the_sdk_names_the_codes(desk):
    desk.emulator.faults(CREATE | {"what": "spend_limit"})
    with pytest.raises(anthropic.RateLimitError) as raised:
        desk.create(desk.items(1))
    assert (
        raised.value.body["error"]["details"]["error_code"]
        == "enforced_spend_limit_reached"
    )


def test_an_error_can_be_worded_and_timed(desk):
    told = {"message": "Slow down", "details": {"error_code": "x"}}
    desk.emulator.faults(CREATE | {"what": "rate_limit", "retry_after": 7, **told})
    answer = desk.post(desk.items(1))
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["error"] == {
        "type": "rate_limit_error",
        "message": "Slow down",
        "details": {"error_code": "x"},
    }


def test_a_413_may_be_json_instead(desk):
    desk.emulator.faults(CREATE | {"what": "too_large", "html": False})
    assert desk.post(desk.items(1)).json()["error"]["type"] == "request_too_large"


def test_a_live_batch_may_be_not_found_for_a_while(desk):
    desk.emulator.faults({"where": "retrieve", "what": "not_found", "count": 2})
    batch = desk.create(desk.items(1))
    found = [
        desk.http.get(f"/v1/messages/batches/{batch.id}").status_code for _ in range(3)
    ]
    assert found == [404, 404, 200]


@pytest.mark.parametrize(("where", "method", "path"), [
    ("list", "GET", ""),
    ("retrieve", "GET", "/{id}"),
    ("cancel", "POST", "/{id}/cancel"),
    ("results", "GET", "/{id}/results"),
    ("delete", "DELETE", "/{id}"),
])  # fmt: skip
def test_every_endpoint_can_fail_alone(desk, where, method, path):
    batch = desk.create(desk.items(1))
    desk.ended(batch.id)
    desk.emulator.faults({"where": where, "what": "overloaded"})
    answer = desk.http.request(
        method, f"/v1/messages/batches{path.format(id=batch.id)}"
    )
    assert answer.status_code == 529
    assert desk.post(desk.items(1)).status_code == 200


def test_counting_tokens_can_fail_too(desk):
    desk.emulator.faults({"where": "count_tokens", "what": "api_error"})
    assert (
        desk.http.post("/v1/messages/count_tokens", json=desk.params()).status_code
        == 500
    )


def test_a_fault_anywhere_strikes_everywhere(desk):
    desk.emulator.faults({"where": "any", "what": "permission"})
    assert desk.post(desk.items(1)).status_code == 403
    assert desk.http.get("/v1/messages/batches").status_code == 403


def test_a_cancel_may_be_carried_out_and_its_answer_lost(desk):
    desk.emulator.faults(
        {"where": "batch", "what": "slow"}, {"where": "cancel", "what": "drop_after"}
    )
    batch = desk.create(desk.items(1))
    with pytest.raises(httpx.RemoteProtocolError):
        desk.http.post(f"/v1/messages/batches/{batch.id}/cancel")
    assert desk.retrieve(batch.id)["cancel_initiated_at"] is not None
