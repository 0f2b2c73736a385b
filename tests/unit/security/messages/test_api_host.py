"""The API's host gets the key and nobody else does; what it says goes into no message; what it sends breaks nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anthropic
import pytest

from nightbatch.errors import (
    AccountStopped,
    ApiError,
    ApiUnavailable,
    BatchGone,
    MaybeSent,
    NotSent,
)
from nightbatch.ids import BatchId
from nightbatch.io.anthropic_sdk.async_batches import AsyncAnthropicBatches
from nightbatch.io.anthropic_sdk.batches import AnthropicBatches
from nightbatch.messages import account, safe_words
from nightbatch.messages.outcome import status_of_error
from nightbatch.ports import Body

KEY = "sk-ant-SECRET-KEY"
PROMPT = "PATIENT JANE DOE HIV+"
BATCH = {
    "id": "msgbatch_1", "type": "message_batch", "processing_status": "ended", "created_at": "2026-11-27T00:00:00Z",
    "request_counts": {"processing": 0, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 0},
    "results_url": None, "ended_at": None, "expires_at": None,
}  # fmt: skip
Answer = tuple[int, dict[str, str], bytes]


class Host(ThreadingHTTPServer):
    """A host that answers as a test says, and remembers what it was asked."""

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.calls: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.calls.append(
            (self.path, {name.lower(): value for name, value in self.headers.items()})
        )
        status, headers, body = self.server.answer(self.path)
        self.send_response(status)
        for name, value in {
            "content-type": "application/json",
            **headers,
            "content-length": str(len(body)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def hosting(answer: Callable[[str], Answer]) -> Iterator[Host]:
    """Run a host."""
    host = Host(answer)
    thread = threading.Thread(target=host.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.shutdown()
        host.server_close()


def batches(host: Host) -> AnthropicBatches:
    """Open the API at a host."""
    return AnthropicBatches(anthropic.Anthropic(base_url=host.url, api_key=KEY))


def body() -> Body:
    """Make a body that holds a prompt."""
    content = json.dumps(
        {"requests": [{"custom_id": "a", "params": {"messages": PROMPT}}]}
    ).encode()
    return Body(len(content), iter([content]))


def as_json(value: Any) -> Answer:
    return 200, {}, json.dumps(value).encode()


def test_results_are_read_from_the_connections_own_host_whatever_the_batch_names() -> (
    None
):
    with hosting(lambda _: (200, {}, b"stolen")) as other:
        answers = {
            "/v1/messages/batches/msgbatch_1/results": (200, {}, b'{"custom_id":"a"}\n')
        }
        named = as_json(BATCH | {"results_url": f"{other.url}/stolen"})
        with hosting(lambda path: answers.get(path, named)) as host:
            with batches(host).results(BatchId("msgbatch_1")) as chunks:
                assert b"".join(chunks) == b'{"custom_id":"a"}\n'
            assert host.calls[0][0] == "/v1/messages/batches/msgbatch_1/results"
        assert other.calls == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_call_follows_a_redirect(status: int) -> None:
    with hosting(lambda _: as_json({"input_tokens": 1})) as other:
        with hosting(
            lambda _: (status, {"location": f"{other.url}/elsewhere"}, b"")
        ) as host:
            api = batches(host)
            calls: list[Callable[[], Any]] = [
                lambda: api.count_tokens({"messages": PROMPT}),
                lambda: api.create(body()),
                api.page,
                lambda: api.batch(BatchId("msgbatch_1")),
                lambda: api.cancel(BatchId("msgbatch_1")),
                lambda: api.results(BatchId("msgbatch_1")).__enter__(),
                lambda: asyncio.run(read_async(host)),
            ]
            for call in calls:
                with pytest.raises(ApiError) as raised:
                    call()
                assert str(status) in str(raised.value)
                assert other.url not in str(raised.value)
        assert other.calls == []


async def read_async(host: Host) -> Any:
    """Read a batch as the triggerer does."""
    client = AsyncAnthropicBatches(
        anthropic.AsyncAnthropic(base_url=host.url, api_key=KEY)
    )
    try:
        return await client.batch(BatchId("msgbatch_1"))
    finally:
        await client.close()


def test_a_redirected_create_has_bought_nothing_and_is_not_sent_again() -> None:
    with hosting(lambda _: (307, {"location": "/v1/messages/batches"}, b"")) as host:
        with pytest.raises(NotSent) as raised:
            batches(host).create(body())
        assert not raised.value.retryable
        assert len(host.calls) == 1


@pytest.mark.parametrize(
    "batch",
    ["../v1/models", "msgbatch_1?x", "a b", "", "x" * 200, "msgbatch_1/../../x"],
)
def test_an_id_that_is_none_gets_into_no_url(batch: str) -> None:
    with hosting(lambda _: as_json(BATCH)) as host:
        api = batches(host)
        for call in (api.batch, api.cancel, lambda one: api.results(one).__enter__()):
            with pytest.raises(BatchGone):
                call(BatchId(batch))
        assert host.calls == []


@pytest.mark.parametrize("batch", ["../x", "a/b", "", None, 7])
def test_an_answer_with_an_id_that_is_none_cannot_be_read(batch: Any) -> None:
    with hosting(lambda _: as_json(BATCH | {"id": batch})) as host:
        with pytest.raises(MaybeSent):
            batches(host).create(body())
        with pytest.raises(ApiUnavailable):
            batches(host).batch(BatchId("msgbatch_1"))
        with pytest.raises(ApiUnavailable):
            asyncio.run(read_async(host))


@pytest.mark.parametrize(
    "value", ["text", [1], 7, None, {"data": "x"}, {"data": [None]}]
)
def test_an_answer_of_another_form_is_an_api_that_cannot_be_read(value: Any) -> None:
    with hosting(lambda _: as_json(value)) as host:
        api = batches(host)
        with pytest.raises(MaybeSent):
            api.create(body())
        for call in (
            api.page,
            lambda: api.batch(BatchId("msgbatch_1")),
            lambda: api.count_tokens({}),
        ):
            with pytest.raises(ApiUnavailable):
                call()


SPOKEN = f'bad value "{PROMPT}"\n[2026-11-27] fake log line \x1b[31mred'


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 413, 429, 500, 529])
def test_what_the_api_says_is_named_by_type_status_and_request_id_alone(
    status: int,
) -> None:
    error = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": SPOKEN},
    }
    headers = {"request-id": "req_1"}
    with hosting(lambda _: (status, headers, json.dumps(error).encode())) as host:
        api = batches(host)
        for call in (
            lambda: api.create(body()),
            api.page,
            lambda: api.count_tokens({}),
        ):
            with pytest.raises(ApiError) as raised:
                call()
            message = str(raised.value)
            assert f"{status} invalid_request_error, request-id req_1" in message
            assert "JANE" not in message
            assert message.isprintable()


def test_types_codes_and_ids_that_are_none_are_not_repeated() -> None:
    error = {"type": PROMPT, "message": SPOKEN, "details": {"error_code": PROMPT}}
    with hosting(
        lambda _: (400, {"request-id": PROMPT}, json.dumps({"error": error}).encode())
    ) as host:
        with pytest.raises(ApiError) as raised:
            batches(host).create(body())
        assert "JANE" not in str(raised.value)


def test_the_field_that_an_error_names_is_kept() -> None:
    assert safe_words.summary(
        "invalid_request_error", f"requests.0.params.max_tokens: {PROMPT}"
    ) == ("invalid_request_error at requests.0.params.max_tokens")


def test_at_debug_no_library_logs_a_prompt_or_a_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("anthropic", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    with hosting(lambda _: as_json({"input_tokens": 3})) as host:
        api = batches(host)
        assert (
            api.count_tokens(
                {"model": "m", "messages": [{"role": "user", "content": PROMPT}]}
            )
            == 3
        )
        with pytest.raises(MaybeSent):
            api.create(body())
    text = "\n".join([caplog.text, *(str(record.args) for record in caplog.records)])
    assert "JANE" not in text
    assert KEY not in text


def _saying(status: int, error: dict[str, Any]) -> Callable[[str], Answer]:
    return lambda _: (status, {}, json.dumps({"error": error}).encode())


@pytest.mark.parametrize("code", sorted(account.ERROR_CODES))
def test_both_readers_of_errors_agree_that_a_code_is_the_accounts(code: str) -> None:
    assert status_of_error("rate_limit_error", "", code)[1]
    error = {
        "type": "rate_limit_error",
        "message": "no",
        "details": {"error_code": code},
    }
    for status in (400, 429):
        with hosting(_saying(status, error)) as host, pytest.raises(AccountStopped):
            batches(host).create(body())


@pytest.mark.parametrize(
    "words",
    ["Your credit balance is too low", "You have reached your specified API usage limits", "organization on hold",
     "This organization has been disabled", "spending limit reached", "See Plans & Billing"],
)  # fmt: skip
def test_both_readers_of_errors_agree_on_words(words: str) -> None:
    assert status_of_error("invalid_request_error", words)[1]
    assert account.answer_blames_account(400, "invalid_request_error", words)


def test_a_ramp_limit_is_waited_out() -> None:
    assert not account.answer_blames_account(
        429, "rate_limit_error", "slow down", "ramp_limit_exceeded"
    )
    assert not status_of_error("rate_limit_error", "slow down", "ramp_limit_exceeded")[
        1
    ]
