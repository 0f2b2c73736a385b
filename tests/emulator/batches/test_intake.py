"""What is refused at once when a batch is created: the envelope and the custom_ids, and nothing else."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from nightbatch.emulator.settings import Limits, Settings


def message(answer):
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"
    return answer.json()["error"]["message"]


def raw(desk, body):
    return desk.http.post(
        "/v1/messages/batches",
        content=body,
        headers={"content-type": "application/json"},
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"requests":[{"custom_id":"a","params":{}', b"nonsense", b"\xff\xfe"],
)
def test_what_is_no_json_is_refused(desk, body):
    assert "not valid JSON" in message(raw(desk, body))


@pytest.mark.parametrize(("body", "says"), [
    ({}, "requests: Field required"),
    ([], "Input should be a valid dictionary"),
    ({"requests": 3}, "requests: Input should be a valid list"),
    ({"requests": []}, "requests: List should have at least 1 item after validation, not 0"),
    ({"requests": [], "metadata": {}}, "metadata: Extra inputs are not permitted"),
    ({"requests": [{"params": {}}]}, "requests.0.custom_id: Field required"),
    ({"requests": [{"custom_id": "a"}]}, "requests.0.params: Field required"),
    ({"requests": [{"custom_id": 1, "params": {}}]}, "requests.0.custom_id: Input should be a valid string"),
    ({"requests": [{"custom_id": "a", "params": []}]}, "requests.0.params: Input should be a valid dictionary"),
    ({"requests": [{"custom_id": "a", "params": {}, "x": 1}]}, "requests.0.x: Extra inputs are not permitted"),
])  # fmt: skip
def test_a_bad_envelope_is_told_where_it_is_bad(desk, body, says):
    assert message(raw(desk, json.dumps(body).encode())) == says


@pytest.mark.parametrize(("custom_id", "says"), [
    ("", "String should have at least 1 character"),
    ("a" * 65, "String should have at most 64 characters"),
    ("a b", "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"),
    ("a\n", "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"),
    ("ä", "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"),
])  # fmt: skip
def test_a_custom_id_has_one_to_64_plain_characters(desk, custom_id, says):
    requests = [*desk.items(1), {"custom_id": custom_id, "params": {}}]
    assert message(desk.post(requests)) == f"requests.1.custom_id: {says}"


def test_a_custom_id_must_be_unique_in_its_batch(desk):
    twins = [{"custom_id": "twin", "params": desk.params()}] * 2
    assert message(desk.post(twins)).startswith(
        "requests.1.custom_id: Duplicate custom_id 'twin'"
    )


def test_the_same_custom_id_may_come_again_in_another_batch(desk):
    assert (
        desk.post(desk.items(1)).status_code
        == desk.post(desk.items(1)).status_code
        == 200
    )


def test_a_refused_batch_leaves_nothing_behind(desk):
    desk.post([])
    books = desk.emulator.books()
    assert books["batches"]["created"] == 0
    assert books["calls"]["create"] == {"400": 1}


def test_nothing_about_params_is_looked_at_when_the_batch_is_created(desk):
    params = [
        {},
        {"model": 1},
        {"model": "nope", "stream": True},
        {"messages": [], "max_tokens": -1, "x": {}},
    ]
    requests = [
        {"custom_id": f"r{number}", "params": bad} for number, bad in enumerate(params)
    ]
    assert desk.post(requests).status_code == 200


def test_a_batch_of_too_many_requests_is_refused(open_desk):
    with open_desk(Settings(limits=Limits(max_requests=3))) as desk:
        assert desk.post(desk.items(3)).status_code == 200
        assert message(desk.post(desk.items(4))).endswith(
            "at most 3 items after validation, not 4"
        )


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_with_413_however_it_comes(
    open_desk, chunked
):
    with open_desk(Settings(limits=Limits(max_bytes=10_000))) as desk:
        body = json.dumps({"requests": desk.items(1, system="x" * 20_000)}).encode()
        content = iter([body[:15_000], body[15_000:]]) if chunked else body
        answer = raw(desk, content)
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "request_too_large"


def test_a_chunked_body_is_as_good_as_one_with_a_length(desk):
    body = json.dumps({"requests": desk.items(2)}).encode()
    assert (
        raw(desk, iter([body[:20], body[20:]])).json()["request_counts"]["processing"]
        == 2
    )


def test_an_upload_that_breaks_off_creates_nothing(desk):
    address = urlsplit(desk.emulator.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(
            b"POST /v1/messages/batches HTTP/1.1\r\nhost: localhost\r\nx-api-key: k\r\n"
            b'anthropic-version: 2023-06-01\r\ncontent-length: 500\r\n\r\n{"requests":['
        )
    assert desk.emulator.books()["batches"]["created"] == 0
