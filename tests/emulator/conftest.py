"""What the emulator's tests share: one running emulator, an SDK client that never retries, and raw HTTP."""

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import anthropic
import httpx
import pytest
from anthropic.types.messages import MessageBatch

from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.fixtures import (  # noqa: F401 - a conftest below the root cannot name plugins
    message_batches_api,
    message_batches_server,
    message_batches_settings,
)
from nightbatch.emulator.settings import Settings

HAIKU = "claude-haiku-4-5"


class Desk:
    """Someone who sends batches to one emulator and reads what comes back."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.client = anthropic.Anthropic(
            base_url=emulator.url, api_key="sk-test", max_retries=0
        )
        headers = {"x-api-key": "sk-test", "anthropic-version": "2023-06-01"}
        self.http = httpx.Client(base_url=emulator.url, headers=headers, timeout=30)

    def params(self, text: str = "Hello", **more: Any) -> dict[str, Any]:
        return {
            "model": HAIKU,
            "max_tokens": 300,
            "messages": [{"role": "user", "content": text}],
            **more,
        }

    def items(
        self, count: int, prefix: str = "row", **more: Any
    ) -> list[dict[str, Any]]:
        return [
            {
                "custom_id": f"{prefix}-{number}",
                "params": self.params(f"{prefix} {number}", **more),
            }
            for number in range(count)
        ]

    def post(self, requests: Any, **more: Any) -> httpx.Response:
        return self.http.post(
            "/v1/messages/batches", json={"requests": requests}, **more
        )

    def create(self, requests: Any) -> MessageBatch:
        return self.client.messages.batches.create(requests=requests)

    def retrieve(self, batch_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (
            self.http.get(f"/v1/messages/batches/{batch_id}").raise_for_status().json()
        )
        return found

    def ended(self, batch_id: str) -> dict[str, Any]:
        for _ in range(2_000):
            batch = self.retrieve(batch_id)
            if batch["processing_status"] == "ended":
                return batch
            time.sleep(0.01)
        raise TimeoutError(batch_id)

    def rows(self, batch_id: str) -> list[dict[str, Any]]:
        lines = (
            self.http.get(f"/v1/messages/batches/{batch_id}/results")
            .raise_for_status()
            .text.splitlines()
        )
        return [json.loads(line) for line in lines]

    def run(self, requests: Any) -> dict[str, Any]:
        """Send a batch, wait for its end and return its results by custom_id."""
        batch = self.create(requests)
        self.ended(batch.id)
        return {row["custom_id"]: row["result"] for row in self.rows(batch.id)}

    def ask(self, text: str = "Hello", **more: Any) -> dict[str, Any]:
        """Send one request in a batch of its own and return its result."""
        result: dict[str, Any] = self.run(
            [{"custom_id": "only", "params": self.params(text, **more)}]
        )["only"]
        return result

    def close(self) -> None:
        self.client.close()
        self.http.close()


@contextmanager
def _desk(settings: Settings) -> Iterator[Desk]:
    with running(settings) as emulator:
        desk = Desk(emulator)
        yield desk
        desk.close()


@pytest.fixture(scope="session")
def session_desk(message_batches_server: Emulator) -> Iterator[Desk]:
    """Keep one desk for the whole session: a client is slow to make."""
    desk = Desk(message_batches_server)
    yield desk
    desk.close()


@pytest.fixture
def desk(session_desk: Desk, message_batches_api: Emulator) -> Desk:
    """Return a desk at the session's emulator, which has forgotten everything."""
    return session_desk


@pytest.fixture
def open_desk() -> Any:
    """Return a way to open a desk at an emulator of one's own settings."""

    def opened(settings: Settings) -> AbstractContextManager[Desk]:
        return _desk(settings)

    return opened
