"""Waiting for N batches in one event loop, as a triggerer does: ours and the official trigger, an hour into the wait.

All processes of a kind are measured side by side for a minute; then all batches end at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TITLE = "Waiting: one triggerer process, batches an hour old, poll_seconds 60"
SIZES = {"nightbatch": (10, 100, 1_000, 10_000), "official": (10, 100, 1_000)}
POLL, SETTLE, WINDOW = 60, 45, 60
HOUR = 3_600.0
CONN = "bench"
ITEM = {"model": "claude-haiku-4-5", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
SERVER = (
    "import sys, time\n"
    "from nightbatch.emulator.embedded import running\n"
    "from nightbatch.emulator.settings import Limits, Pace, Settings\n"
    "limits = Limits(requests_per_minute=10_000_000, queue=10_000_000)\n"
    "with running(Settings(pace=Pace(seconds=7_200, retry_after=10), limits=limits)) as emulator:\n"
    "    print(emulator.url, flush=True)\n"
    "    sys.stdin.read()\n"
)


def run() -> list[dict[str, Any]]:
    """Measure both kinds at every size that they stand."""
    from nightbatch.emulator.embedded import Emulator

    with tempfile.TemporaryDirectory() as folder, server() as url:
        emulator = Emulator(url)
        emulator.advance(-HOUR)
        names = Path(folder) / "batches.json"
        names.write_text(json.dumps(send(url, max(max(sizes) for sizes in SIZES.values()))))
        emulator.advance(HOUR)
        rows = []
        for kind, sizes in SIZES.items():
            rows += measure(kind, sizes, names, emulator)
            emulator.advance(-2 * HOUR)
        return rows


@contextmanager
def server() -> Iterator[str]:
    """Run an emulator of its own process."""
    argv = [sys.executable, "-c", SERVER]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("")


def send(url: str, count: int) -> list[str]:
    """Send so many batches of one request; return their ids, newest first."""
    import httpx

    with httpx.Client(base_url=url, headers={"x-api-key": "any", "anthropic-version": "2023-06-01"}) as client:

        def one(number: int) -> str:
            body = {"requests": [{"custom_id": f"r{number}", "params": ITEM}]}
            return str(client.post("/v1/messages/batches", json=body).raise_for_status().json()["id"])

        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(one, range(count)))[::-1]


def measure(kind: str, sizes: tuple[int, ...], names: Path, emulator: Any) -> list[dict[str, Any]]:
    """Measure one kind at all sizes side by side."""
    children = [Child(kind, size, names, emulator.url) for size in sizes]
    time.sleep(SETTLE)
    before = [child.ask() for child in children]
    time.sleep(WINDOW)
    after = [child.ask() for child in children]
    emulator.advance(2 * HOUR)
    ended_at = time.time()
    return [
        {
            "trigger": kind,
            "waiting": child.size,
            "CPU s/min": round((late["cpu"] - early["cpu"]) * 60 / WINDOW, 2),
            "RSS MB": round(late["rss"] / 1e6),
            "requests/min": round((late["requests"] - early["requests"]) * 60 / WINDOW),
            "delay s, median": round(statistics.median(at - ended_at for at in child.fired()), 1),
        }
        for child, early, late in zip(children, before, after, strict=True)
    ]


class Child:
    """A process that waits for the newest batches."""

    def __init__(self, kind: str, size: int, names: Path, url: str) -> None:
        self.size = size
        connection = json.dumps({"conn_type": "anthropic", "host": url, "password": "any"})
        env = {**os.environ, f"AIRFLOW_CONN_{CONN.upper()}": connection, "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}
        argv = [sys.executable, __file__, kind, str(size), str(names)]
        self._process = subprocess.Popen(
            argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self) -> dict[str, float]:
        """Return what it has used so far."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return dict(self._line())

    def fired(self) -> list[float]:
        """Return when each trigger fired, once all have."""
        times = self._line()
        self._process.communicate()
        return list(times)

    def _line(self) -> Any:
        assert self._process.stdout is not None
        return next(json.loads(line[1:]) for line in self._process.stdout if line.startswith("="))


async def wait_for_all(kind: str, batches: list[str]) -> None:
    """Run one trigger a batch, answer what is asked, and say when each fired."""
    requests = Requests()
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).setLevel(logging.INFO)
        logging.getLogger(name).addHandler(requests)
    asking = asyncio.ensure_future(answer(requests))
    fired = await asyncio.gather(*(first_event(trigger(kind, batch)) for batch in batches))
    asking.cancel()
    print("=" + json.dumps(fired), flush=True)
    os._exit(0)  # the thread that reads stdin never ends


async def answer(requests: Requests) -> None:
    """Tell what was used, whenever a line is read."""
    import psutil

    process = psutil.Process()
    while await asyncio.to_thread(sys.stdin.readline):
        used = {"cpu": time.process_time(), "rss": process.memory_info().rss, "requests": requests.count}
        print("=" + json.dumps(used), flush=True)


async def first_event(waiting: Any) -> float:
    """Return when a trigger fires."""
    async for _ in waiting.run():
        return time.time()
    raise AssertionError("the trigger ended without an event")


def trigger(kind: str, batch: str) -> Any:
    """Make the trigger of a kind."""
    if kind == "official":
        from airflow.providers.anthropic.triggers.batch import AnthropicBatchTrigger

        return AnthropicBatchTrigger(CONN, batch, POLL, time.time() + 24 * HOUR)
    from nightbatch.triggers.batch import BatchTrigger

    return BatchTrigger(batch, CONN, str(POLL))


class Requests(logging.Handler):
    """Counts the requests that the HTTP client logs."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.getMessage().startswith("HTTP Request")


if __name__ == "__main__":
    asyncio.run(wait_for_all(sys.argv[1], json.loads(Path(sys.argv[3]).read_text())[: int(sys.argv[2])]))
