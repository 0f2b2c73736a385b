"""Whatever form an answer of the API has, it is read, a maybe or unavailable; and no key goes over plain http."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import anthropic
import httpx2
import pytest
from tests.real.security.api.hosts import BATCH, KEY, Host, Reply, batch

from nightbatch.errors import (
    ApiUnavailable,
    BatchGone,
    MaybeSent,
    NotSent,
    SettingsError,
)
from nightbatch.ids import BatchId
from nightbatch.io.anthropic_sdk.async_batches import AsyncAnthropicBatches
from nightbatch.io.anthropic_sdk.batches import AnthropicBatches
from nightbatch.ports import Body

PROMPT = b'{"requests":[{"custom_id":"a","params":{"messages":"the prompt"}}]}'
ID = BatchId(BATCH)


def body() -> Body:
    return Body(size=len(PROMPT), chunks=iter([PROMPT]))


def read(api: AnthropicBatches) -> bytes:
    with api.results(ID) as chunks:
        return b"".join(chunks)


def quick() -> httpx2.AsyncClient:
    """Return the SDK's own kind of client, redirects on, but without loading certificates for each."""
    return anthropic.DefaultAsyncHttpxClient(verify=False)


def asked(host: Host, *, batch_id: str = BATCH, cancel: bool = False) -> Any:
    """Ask for a batch as the triggerer does."""

    async def ask() -> Any:
        async with anthropic.AsyncAnthropic(
            api_key=KEY, base_url=host.url, http_client=quick()
        ) as client:
            reads = AsyncAnthropicBatches(client)
            return await (
                reads.cancel(BatchId(batch_id))
                if cancel
                else reads.batch(BatchId(batch_id))
            )

    return asyncio.run(ask())


def listed(host: Host, after: str | None = None) -> Any:
    """List batches as the triggerer does."""

    async def ask() -> Any:
        async with anthropic.AsyncAnthropic(
            api_key=KEY, base_url=host.url, http_client=quick()
        ) as client:
            return await AsyncAnthropicBatches(client).page(
                BatchId(after) if after else None, 20
            )

    return asyncio.run(ask())


# Redirects.


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_prompt_follows_a_redirect(
    api: AnthropicBatches, host: Host, stranger: Host, status: int
) -> None:
    host.otherwise = Reply(
        status, b"", {"location": f"{stranger.url}/take?token=QUERY"}
    )
    calls = [
        lambda: api.count_tokens({"messages": "the prompt"}), lambda: api.create(body()), api.page,
        lambda: api.batch(ID), lambda: api.cancel(ID), lambda: read(api), lambda: asked(host), lambda: listed(host),
        lambda: asked(host, cancel=True),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(
            (ApiUnavailable, NotSent, MaybeSent), match=f"answered {status}, a redirect"
        ) as raised:
            call()
        assert "QUERY" not in str(raised.value)
    assert stranger.calls == []


def test_a_create_that_is_answered_with_see_other_may_have_bought(
    api: AnthropicBatches, host: Host
) -> None:
    host.otherwise = Reply(303, b"", {"location": f"/v1/messages/batches/{BATCH}"})
    with pytest.raises(MaybeSent):
        api.create(body())


# Plain http.


@pytest.mark.parametrize(
    "url", ["http://gateway:8080", "http://10.0.0.7", "http://[2001:db8::1]:80/api"]
)
def test_plain_http_to_another_machine_is_refused(url: str) -> None:
    for kind, port in (
        (anthropic.Anthropic, AnthropicBatches),
        (anthropic.AsyncAnthropic, AsyncAnthropicBatches),
    ):
        with pytest.raises(SettingsError, match="NIGHTBATCH_ALLOW_HTTP=1") as raised:
            port(kind(api_key=KEY, base_url=url))
        assert KEY not in str(raised.value)


def test_plain_http_to_another_machine_can_be_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NIGHTBATCH_ALLOW_HTTP", "1")
    AnthropicBatches(anthropic.Anthropic(api_key=KEY, base_url="http://gateway:8080"))


@pytest.mark.parametrize(
    "url",
    ["https://gateway", "http://localhost:1", "http://127.0.0.9:1", "http://[::1]:1"],
)
def test_https_and_this_machine_need_no_permission(url: str) -> None:
    AnthropicBatches(anthropic.Anthropic(api_key=KEY, base_url=url))


# Ids.

ODD = ["", "a/b", "../models", "a?x=1", "a b", "é", "x" * 129, "a\n", "a%2fb", None, 7]


@pytest.mark.parametrize("odd", ODD)
def test_an_id_of_another_form_is_unreadable_and_never_part_of_an_address(
    api: AnthropicBatches, host: Host, odd: Any
) -> None:
    host.says("POST /v1/messages/batches", batch(id=odd))
    host.says(f"GET /v1/messages/batches/{BATCH}", batch(id=odd))
    host.says(
        "GET /v1/messages/batches",
        {"data": [batch(id=odd)], "has_more": True, "last_id": odd},
    )
    with pytest.raises(MaybeSent):
        api.create(body())
    for call in (api.page, lambda: api.batch(ID), lambda: asked(host)):
        with pytest.raises(ApiUnavailable):
            call()
    if odd:
        with pytest.raises(ApiUnavailable):
            listed(host)


@pytest.mark.parametrize("odd", ["../models", "a?x=1", "a\n"])
def test_a_page_after_what_is_no_id_is_not_asked_for(
    api: AnthropicBatches, host: Host, odd: str
) -> None:
    with pytest.raises(ApiUnavailable):
        api.page(BatchId(odd))
    with pytest.raises(ApiUnavailable):
        listed(host, after=odd)
    with pytest.raises(BatchGone):
        asked(host, batch_id=odd, cancel=True)
    assert host.calls == []


# Answers that are no answers.

NO_OBJECTS: list[tuple[str, bytes]] = [
    ("application/json", b'"a text"'),
    ("application/json", b"[1, 2]"),
    ("application/json", b"null"),
    ("application/json", b"7"),
    ("application/json", b""),
    ("application/json", b"{"),
    ("application/json", b"[" * 100_000),
    ("application/json", b'{"request_counts": {"succeeded": Infinity}}'),
    ("text/html", b"<html>the gateway's page</html>"),
    ("text/plain; charset=nonsense", b"\xff\xfe"),
]


@pytest.mark.parametrize(("kind", "raw"), NO_OBJECTS)
def test_an_answer_that_is_no_object_is_a_maybe_on_create_and_unavailable_on_reads(
    api: AnthropicBatches, host: Host, kind: str, raw: bytes
) -> None:
    host.otherwise = Reply(200, raw, {"content-type": kind})
    with pytest.raises(MaybeSent):
        api.create(body())
    reads = (
        api.page, lambda: api.batch(ID), lambda: api.count_tokens({}), lambda: api.cancel(ID), lambda: asked(host),
        lambda: listed(host),
    )  # fmt: skip
    for call in reads:
        with pytest.raises(ApiUnavailable):
            call()


@pytest.mark.parametrize(
    "field", ["request_counts", "created_at", "expires_at", "processing_status"]
)
@pytest.mark.parametrize(
    "odd", [7, "text", ["list"], {"the patient's name": 3}, {"a": {}}, 1e400]
)
def test_a_batch_with_an_odd_field_raises_none_of_python_s_own_errors(
    api: AnthropicBatches, host: Host, field: str, odd: Any
) -> None:
    host.says("POST /v1/messages/batches", batch(**{field: odd}))
    host.says(f"GET /v1/messages/batches/{BATCH}", batch(**{field: odd}))
    for call in (
        lambda: api.create(body()),
        lambda: api.batch(ID),
        lambda: asked(host),
    ):
        with suppress(MaybeSent, ApiUnavailable):
            assert "patient" not in str(call())
