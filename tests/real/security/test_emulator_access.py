"""What a web page can make a browser send is refused by the emulator, and its own callers are served."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from anthropic import Anthropic

from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.flags import parse_flags
from nightbatch.emulator.settings import Settings

KEYS = {"x-api-key": "sk-test", "anthropic-version": "2026-10-21"}
JSON = {"content-type": "application/json"}
FOREIGN_ORIGINS = [
    "https://evil.example", "null", "", "http://127.0.0.1.evil.example", "http://[::1", "http://localhost:3000",
    "http://127.0.0.1:1", "http://user@127.0.0.1", "file://",
]  # fmt: skip
FOREIGN_HOSTS = ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "", "127.0.0.1:1", "[::1",
                 "evil@127.0.0.1:{port}", "127.0.0.1", "localhost:0x50"]  # fmt: skip


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Run an emulator."""
    with running(Settings()) as emulator:
        yield emulator


def port_of(emulator: Emulator) -> int:
    """Return the port that an emulator listens on."""
    port = urlsplit(emulator.url).port
    assert port is not None
    return port


def send(
    emulator: Emulator,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> tuple[int, Any]:
    """Send exactly these headers, none added but Host where there is none; return the status and the JSON answered."""
    port = port_of(emulator)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in ({"host": f"127.0.0.1:{port}"} | dict(headers)).items():
            connection.putheader(name, value.format(port=port))
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def offset(emulator: Emulator) -> float:
    """Return by how much the clock was turned."""
    return float(send(emulator, "GET", "/_emulator/clock", {})[1]["offset"])


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
@pytest.mark.parametrize(
    "path",
    [
        "/_emulator/reset",
        "/_emulator/clock",
        "/_emulator/faults",
        "/v1/messages/batches",
    ],
)
@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a_page_of_another_origin_changes_nothing(
    emulator: Emulator, origin: str, path: str, kind: str
) -> None:
    before = offset(emulator)
    headers = {"origin": origin, "content-type": kind, **KEYS}
    status, answer = send(emulator, "POST", path, headers, b'{"advance": 60}')
    assert status == 403
    assert answer["error"]["type"] == "permission_error"
    assert "Origin" in answer["error"]["message"]
    assert offset(emulator) == before


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize(
    "path", ["/_emulator/books", "/_emulator/clock", "/v1/messages/batches"]
)
def test_a_name_that_leads_here_but_is_not_its_own_reads_nothing(
    emulator: Emulator, host: str, path: str
) -> None:
    status, answer = send(emulator, "GET", path, {"host": host, **KEYS})
    assert status == 403
    assert "--allow-host" in answer["error"]["message"]


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ],
)
@pytest.mark.parametrize(
    "path", ["/_emulator/reset", "/_emulator/clock", "/_emulator/faults"]
)
def test_a_control_takes_no_body_that_a_form_could_send(
    emulator: Emulator, kind: str, path: str
) -> None:
    status, answer = send(emulator, "POST", path, {"content-type": kind}, b"{}")
    assert status == 403
    assert "application/json" in answer["error"]["message"]


def test_a_body_without_a_type_is_refused(emulator: Emulator) -> None:
    assert send(emulator, "POST", "/_emulator/clock", {}, b'{"advance": 60}')[0] == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"]
)
def test_loopbacks_names_with_its_own_port_are_served(
    emulator: Emulator, host: str
) -> None:
    assert (
        send(emulator, "GET", "/v1/messages/batches", {"host": host, **KEYS})[0] == 200
    )
    own_page = {"host": host, "origin": f"http://{host}", **JSON}
    assert (
        send(emulator, "POST", "/_emulator/clock", own_page, b'{"advance": 0}')[0]
        == 200
    )


def test_a_reset_without_a_body_needs_no_type(emulator: Emulator) -> None:
    assert send(emulator, "POST", "/_emulator/reset", {"content-length": "0"})[0] == 200


@pytest.mark.parametrize(
    ("allowed", "host", "status"),
    [
        ("batches.internal", "batches.internal", 200),
        ("batches.internal", "batches.internal:8443", 200),
        ("Batches.Internal", "batches.internal", 200),
        ("batches.internal:80", "batches.internal", 200),
        ("batches.internal:80", "batches.internal:8443", 403),
        ("batches.internal", "other.internal", 403),
        ("localhost", "localhost:1", 200),
    ],
)
def test_a_name_that_was_allowed_is_served(
    allowed: str, host: str, status: int
) -> None:
    with running(parse_flags(["--allow-host", allowed])) as emulator:
        assert (
            send(emulator, "GET", "/v1/messages/batches", {"host": host, **KEYS})[0]
            == status
        )


def test_the_official_client_and_the_handle_are_served(emulator: Emulator) -> None:
    batches = Anthropic(base_url=emulator.url, api_key="sk-test").messages.batches
    params: Any = {
        "model": "claude-haiku-4-5",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hello"}],
    }
    batch = batches.create(requests=[{"custom_id": "a", "params": params}])
    emulator.advance(60)
    assert batches.retrieve(batch.id).id == batch.id
    emulator.reset()
    assert batches.list().data == []
