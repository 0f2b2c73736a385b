"""Waiting for N batches in one event loop, as a triggerer does: ours and the official trigger.

All processes of a kind are measured side by side for a minute, an hour into the wait; then the batches end, spread
over another minute. At last a hundred batches that take half a minute, for the delay that young ones meet.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any

TITLE = "Waiting in one triggerer process, poll_seconds 60"
SIZES = {"nightbatch": (10, 100, 1_000, 10_000), "official": (10, 100, 1_000)}
POLL, SETTLE, WINDOW, SPREAD = 60, 45, 60, 60
HOUR = 3_600.0
LIFE, YOUNG_LIFE, YOUNG = 2 * HOUR, 30.0, 100
CONN = "bench"
ITEM = {"model": "claude-haiku-4-5", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
SERVER = (
    "import sys\n"
    "from nightbatch.emulator.embedded import running\n"
    "from nightbatch.emulator.settings import Limits, Pace, Settings\n"
    "limits = Limits(requests_per_minute=10_000_000, queue=10_000_000)\n"
    "with running(Settings(pace=Pace(seconds=float(sys.argv[1]), retry_after=10), limits=limits)) as emulator:\n"
    "    print(emulator.url, flush=True)\n"
    "    sys.stdin.read()\n"
)
Sent = list[tuple[str, float]]


def run() -> list[dict[str, Any]]:
    """Measure both kinds at every size that they stand, and how late they see young batches end."""
    rows = []
    with server(LIFE) as clock:
        clock.turn(-HOUR)
        sent = clock.send(max(max(sizes) for sizes in SIZES.values()), SPREAD)
        clock.turn(HOUR)
        for kind, sizes in SIZES.items():
            rows += measure(kind, sizes, sent, clock)
    for kind in SIZES:
        with server(YOUNG_LIFE) as clock:
            rows.append(measure_young(kind, clock))
    return rows


class Clock:
    """An emulator: its address, and its clock."""

    def __init__(self, url: str) -> None:
        from nightbatch.emulator.embedded import Emulator

        self.url, self.ahead, self._emulator = url, 0.0, Emulator(url)

    def turn(self, seconds: float) -> None:
        """Turn the clock."""
        self._emulator.advance(seconds)
        self.ahead += seconds

    def send(self, count: int, spread: float) -> Sent:
        """Send so many batches of one request over some seconds; return their ids and times, newest first."""
        import httpx

        start = time.monotonic()
        with httpx.Client(base_url=self.url, headers={"x-api-key": "any", "anthropic-version": "2023-06-01"}) as client:

            def one(number: int) -> tuple[str, float]:
                time.sleep(max(0.0, start + spread * number / count - time.monotonic()))
                body = {"requests": [{"custom_id": f"r{number}", "params": ITEM}]}
                answer = client.post("/v1/messages/batches", json=body).raise_for_status().json()
                return answer["id"], datetime.fromisoformat(answer["created_at"]).timestamp()

            with ThreadPoolExecutor(4) as pool:
                return list(pool.map(one, range(count)))[::-1]


@contextmanager
def server(life: float) -> Iterator[Clock]:
    """Run an emulator of its own process, whose batches of one request live for so many seconds."""
    argv = [sys.executable, "-c", SERVER, str(life)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Clock(process.stdout.readline().strip())
        process.communicate("")


def measure(kind: str, sizes: tuple[int, ...], sent: Sent, clock: Clock) -> list[dict[str, Any]]:
    """Measure one kind at all sizes side by side, each on batches from all over the listing."""
    children = [Child(kind, clock.url) for _ in sizes]
    for child, size in zip(children, sizes, strict=True):
        child.ask()
        child.begin(sent[:: len(sent) // size][:size])
    time.sleep(SETTLE)
    before = [child.ask() for child in children]
    time.sleep(WINDOW)
    after = [child.ask() for child in children]
    oldest = sent[-1][1]
    turned = oldest + LIFE - (time.time() + clock.ahead) - 1  # the oldest ends in a second
    clock.turn(turned)
    rows = [
        {
            "trigger": kind,
            "waiting": len(child.sent),
            "batches": "1 h old",
            "CPU s/min": round((late["cpu"] - early["cpu"]) * 60 / WINDOW, 2),
            "RSS MB": round(late["rss"] / 1e6),
            "requests/min": round((late["requests"] - early["requests"]) * 60 / WINDOW),
            "median delay s": child.delay(LIFE, clock),
        }
        for child, early, late in zip(children, before, after, strict=True)
    ]
    clock.turn(-turned)
    return rows


def measure_young(kind: str, clock: Clock) -> dict[str, Any]:
    """Measure how late a trigger sees batches end that are waited for from their first second."""
    child = Child(kind, clock.url)
    child.ask()
    child.begin(clock.send(YOUNG, 1))
    return {
        "trigger": kind, "waiting": YOUNG, "batches": f"{YOUNG_LIFE:.0f} s long", "CPU s/min": None, "RSS MB": None,
        "requests/min": None, "median delay s": child.delay(YOUNG_LIFE, clock),
    }  # fmt: skip


class Child:
    """A process that waits for the newest batches."""

    def __init__(self, kind: str, url: str) -> None:
        self.sent: Sent = []
        connection = json.dumps({"conn_type": "anthropic", "host": url, "password": "any"})
        env = {**os.environ, f"AIRFLOW_CONN_{CONN.upper()}": connection, "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}
        argv = [sys.executable, __file__, kind]
        self._process = subprocess.Popen(
            argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def begin(self, sent: Sent) -> None:
        """Let it wait for batches."""
        self.sent = sent
        self._say(json.dumps([batch for batch, _ in sent]))

    def ask(self) -> dict[str, float]:
        """Return what it has used so far, once it has imported what it needs."""
        self._say("")
        return dict(self._line())

    def delay(self, life: float, clock: Clock) -> float:
        """Return the median of what passed between the end of a batch and its trigger's event, once all have fired."""
        fired = self._line()
        self._process.communicate()
        delays = [at + clock.ahead - (sent + life) for at, (_, sent) in zip(fired, self.sent, strict=True)]
        return round(statistics.median(delays), 1)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _line(self) -> Any:
        assert self._process.stdout is not None
        return next(json.loads(line[1:]) for line in self._process.stdout if line.startswith("="))


async def main(kind: str) -> None:
    """Run one trigger a batch as told on stdin, answer what is asked, and say when each fired."""
    from airflow.providers.anthropic.hooks.anthropic import AnthropicHook

    await AnthropicHook(CONN).get_async_conn()
    trigger(kind, "")
    requests = Requests()
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).setLevel(logging.INFO)
        logging.getLogger(name).addHandler(requests)
    waits = asyncio.ensure_future(listen(kind, requests))
    fired = await (await waits)
    print("=" + json.dumps(fired), flush=True)
    os._exit(0)  # the thread that reads stdin never ends


async def listen(kind: str, requests: Requests) -> Any:
    """Read lines: an empty one asks for what was used, another names the batches to wait for."""
    while not (line := await asyncio.to_thread(sys.stdin.readline)).strip():
        tell(requests)
    loop = asyncio.get_running_loop()
    loop.create_task(answer(requests))  # noqa: RUF006 - lives as long as the process
    return asyncio.gather(*(first_event(trigger(kind, batch)) for batch in json.loads(line)))


async def answer(requests: Requests) -> None:
    """Tell what was used, whenever a line is read."""
    while await asyncio.to_thread(sys.stdin.readline):
        tell(requests)


def tell(requests: Requests) -> None:
    """Tell what was used."""
    import psutil

    used = {"cpu": time.process_time(), "rss": psutil.Process().memory_info().rss, "requests": requests.count}
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
    if len(sys.argv) > 1:
        asyncio.run(main(sys.argv[1]))
    else:
        from rows import show

        show("waiting", TITLE, run())
