"""What the tests of waiting share: an emulator whose batches end when told, and its connection as Airflow sees it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from nightbatch.airflow.client import Connection
from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.settings import BatchDuration as Speed
from nightbatch.emulator.settings import Limits, Settings
from nightbatch.ports import Batch
from nightbatch.wait.pace import PollTiming
from nightbatch.wait.poller import Poller

CONN = "waiting"
HOUR = 3_600.0
CEILING = 0.2
PACE = PollTiming(soonest=0.05, gone=0.5, refused=0.6, linger=0.2, most=0.2, held=5.0)
SLOW_CALLBACK_SECONDS = 0.5


class Account:
    """An account at the emulator, whose batches last an hour of a clock that the test turns; and who waits for them."""

    conn, ceiling, pace = CONN, CEILING, PACE

    def __init__(
        self, emulator: Emulator, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.emulator, self._client, self._monkeypatch = emulator, client, monkeypatch
        self.connect(emulator.url)

    def connect(self, url: str, key: str = "sk-test", **more: Any) -> None:
        """Set the connection that the poller reads."""
        connection = {"conn_type": "anthropic", "host": url, "password": key, **more}
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{CONN.upper()}", json.dumps(connection))

    def send(self, requests: int = 1) -> str:
        """Send a batch, and return its id."""
        params: Any = {
            "model": "claude-haiku-4-5",
            "max_tokens": 10,
            "messages": [{"role": "user", "content": "Hi"}],
        }
        items: Any = [
            {"custom_id": f"r{number}", "params": params} for number in range(requests)
        ]
        answer = self._client.post("/v1/messages/batches", json={"requests": items})
        return str(answer.raise_for_status().json()["id"])

    def end_all(self) -> None:
        """Let all batches end."""
        self.emulator.advance(6 * HOUR)

    def calls(self, endpoint: str) -> int:
        """Count the calls that were made to an endpoint."""
        return sum(self.emulator.books()["calls"].get(endpoint, {}).values())

    def poller(self) -> Poller:
        """Make a poller of its own in the running loop."""
        return Poller(Connection(CONN, PACE), PACE)

    async def waits(
        self, poller: Poller, batches: list[str]
    ) -> list[asyncio.Task[Batch]]:
        """Begin to wait for batches, and let the poller look at them once."""
        waits = [
            asyncio.ensure_future(poller.wait(batch, CEILING)) for batch in batches
        ]
        before = await asyncio.to_thread(self.calls, "list")
        while await asyncio.to_thread(self.calls, "list") == before:
            await asyncio.sleep(0.02)
        return waits

    async def ends(self) -> None:
        """Let all batches end, without blocking the loop that waits for them."""
        await asyncio.to_thread(self.end_all)

    def play(
        self, scenario: Callable[[], Awaitable[Any]], *, debug: bool = False
    ) -> Any:
        """Run a scenario in a loop of its own."""

        async def timed() -> Any:
            asyncio.get_running_loop().slow_callback_duration = SLOW_CALLBACK_SECONDS
            async with asyncio.timeout(30):
                return await scenario()

        return asyncio.run(timed(), debug=debug)


@pytest.fixture(scope="session")
def waiting_server() -> Iterator[Emulator]:
    """Run one emulator for all tests of waiting."""
    limits = Limits(requests_per_minute=1_000_000, queue=10_000_000)
    with running(
        Settings(pace=Speed(seconds=HOUR, retry_after=1), limits=limits)
    ) as emulator:
        yield emulator


@pytest.fixture
def account(
    waiting_server: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Account]:
    """Return a fresh account."""
    waiting_server.reset()
    headers = {"x-api-key": "sk-test", "anthropic-version": "2026-10-21"}
    with httpx.Client(
        base_url=waiting_server.url, headers=headers, timeout=60
    ) as client:
        yield Account(waiting_server, client, monkeypatch)


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return a way to read what was logged."""
    caplog.set_level(logging.INFO)
    return lambda: [record.getMessage() for record in caplog.records]
