"""The account: an emulator in a process of its own, and what strangers and people at the Console do with it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from nightbatch.emulator.embedded import Emulator

HEADERS = {
    "x-api-key": "sk-other",
    "anthropic-version": "2023-06-01",
    "content-type": "application/json",
}
SECONDS = "0.05"
"""What a batch of one request lasts."""


@contextmanager
def serving() -> Iterator[Emulator]:
    """Run an emulator for as long as the block lasts."""
    command = [
        sys.executable,
        "-m",
        "nightbatch.emulator",
        "--port",
        "0",
        "--seconds",
        SECONDS,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        try:
            assert server.stdout is not None
            yield Emulator(server.stdout.readline().strip())
        finally:
            server.terminate()


def batches(emulator: Emulator) -> list[dict[str, Any]]:
    """Return what the books say of each batch, the oldest first."""
    return list(emulator.books()["by_batch"])


def results(emulator: Emulator) -> Iterator[bytes]:
    """Read the result lines of every batch that can be read; raw, since there may be a thousand."""
    with closing(HTTPConnection(urlsplit(emulator.url).netloc)) as line:
        for batch in batches(emulator):
            path = f"/v1/messages/batches/{batch['id']}/results"
            line.request("GET", path, headers=HEADERS)
            answer = line.getresponse()
            content = answer.read()
            if answer.status == 200:
                yield from content.splitlines()


class Stranger:
    """Somebody else who uses the account, or a person at the Console; no two of his prompts are the same."""

    def __init__(self, url: str, name: str = "stranger") -> None:
        self._place = urlsplit(url).netloc
        self.name = name
        self.bought = 0

    def buy(self, count: int = 1, size: int = 3) -> None:
        """Buy so many batches of a size."""
        with closing(HTTPConnection(self._place)) as line:
            for _ in range(count):
                self.bought += 1
                requests = [self._request(row) for row in range(size)]
                self._call(line, "POST", "", {"requests": requests})

    def _request(self, row: int) -> dict[str, Any]:
        name = f"{self.name}-{self.bought}-{row}"
        message = {"role": "user", "content": name}
        return {
            "custom_id": name,
            "params": {
                "model": "claude-haiku-4-5",
                "max_tokens": 5,
                "messages": [message],
            },
        }

    def cancel(self, batch: str) -> None:
        """Cancel a batch, whoever bought it."""
        with closing(HTTPConnection(self._place)) as line:
            self._call(line, "POST", f"/{batch}/cancel")

    def delete(self, batch: str) -> None:
        """Delete a batch that has ended."""
        with closing(HTTPConnection(self._place)) as line:
            self._call(line, "DELETE", f"/{batch}")

    def _call(
        self, line: HTTPConnection, method: str, path: str, body: object = None
    ) -> None:
        body_json = json.dumps(body) if body else None
        line.request(method, f"/v1/messages/batches{path}", body_json, HEADERS)
        answer = line.getresponse()
        content = answer.read()
        assert answer.status == 200, content

    @contextmanager
    def buying(self, size: int = 3) -> Iterator[Stranger]:
        """Buy one batch after the other for as long as the block lasts."""
        enough = threading.Event()
        failures: list[Exception] = []

        def buy() -> None:
            try:
                while not enough.wait(0.1):
                    self.buy(1, size)
            except Exception as error:
                failures.append(error)

        thread = threading.Thread(target=buy)
        thread.start()
        try:
            yield self
        finally:
            enough.set()
            thread.join()
        assert not failures
