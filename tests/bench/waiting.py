"""Waiting for N batches in one event loop, as a triggerer does: ours and the official trigger.

All processes are measured side by side for a minute, an hour into the wait; then all batches end, spread over another
minute. Meanwhile, a hundred batches for each kind that take half a minute, for the delay that young ones meet.
BENCH_WAITING (10,100,1000,10000) names the sizes; the official trigger is not asked for more than 1,000, which are
1,000 requests a minute, all that the API grants to a starting tier.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.on_airflow.waiter import CONN, POLL
from tests.bench.tables.rows import ROOT, busy, machine, renew, show

TITLE = f"Waiting in one triggerer process, poll_seconds {POLL}"
OURS = [
    int(one) for one in os.environ.get("BENCH_WAITING", "10,100,1000,10000").split(",")
]
SIZES = {"nightbatch": OURS, "official": [one for one in OURS if one <= 1_000]}
SETTLE, WINDOW, SPREAD = 40, 60, 60
"""Seconds until the first look at all batches is over; that are measured; over which the batches end."""
HOUR = 3_600.0
LIFE, YOUNG_LIFE, YOUNG = 2 * HOUR, 30.0, 100
ITEM = {
    "model": "claude-haiku-4-5",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "Hi"}],
}
SERVER = (
    "import sys\n"
    "from nightbatch.emulator.embedded import running\n"
    "from nightbatch.emulator.settings import Limits, BatchDuration, Settings\n"
    "limits = Limits(requests_per_minute=10_000_000, queue=10_000_000)\n"
    "pace = BatchDuration(seconds=float(sys.argv[1]), retry_after=10)\n"
    "with running(Settings(pace=pace, limits=limits)) as emulator:\n"
    "    print(emulator.url, flush=True)\n"
    "    sys.stdin.read()\n"
)
Sent = list[tuple[str, float]]
Row = dict[str, Any]


def run() -> list[Row]:
    """Measure both kinds at every size that they stand, and how late they see young batches end."""
    with (
        server(LIFE) as clock,
        server(YOUNG_LIFE) as now,
        ThreadPoolExecutor(1) as aside,
    ):
        children = [
            Child(kind, size, clock.url)
            for kind, sizes in SIZES.items()
            for size in sizes
        ]
        clock.turn(-HOUR)
        young = aside.submit(measure_young, now)
        sent = clock.send(max(OURS), SPREAD)
        clock.turn(HOUR)
        for child in children:
            child.begin(sent[:: len(sent) // child.size][: child.size])
        rows = measure(children)
        for child in children:
            child.watch()
        clock.turn(
            sent[-1][1] + LIFE - (time.time() + clock.ahead) - 1
        )  # the oldest ends in a second
        for row, child in zip(rows, children, strict=True):
            row.update(child.end(LIFE, clock))
        return rows + young.result()


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
        with httpx.Client(
            base_url=self.url,
            headers={"x-api-key": "any", "anthropic-version": "2023-06-01"},
        ) as client:

            def one(number: int) -> tuple[str, float]:
                time.sleep(max(0.0, start + spread * number / count - time.monotonic()))
                body = {"requests": [{"custom_id": f"r{number}", "params": ITEM}]}
                answer = (
                    client.post("/v1/messages/batches", json=body)
                    .raise_for_status()
                    .json()
                )
                return answer["id"], datetime.fromisoformat(
                    answer["created_at"]
                ).timestamp()

            with ThreadPoolExecutor(4) as pool:
                return list(pool.map(one, range(count)))[::-1]


@contextmanager
def server(life: float) -> Iterator[Clock]:
    """Run an emulator of its own process, whose batches of one request live for so many seconds."""
    argv = [sys.executable, "-c", SERVER, str(life)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield Clock(process.stdout.readline().strip())
        process.communicate("")


def measure(children: Sequence[Child]) -> list[Row]:
    """Measure what waiting takes, all sizes side by side."""
    time.sleep(SETTLE)
    before = [child.ask() for child in children]
    time.sleep(WINDOW)
    after = [child.ask() for child in children]
    return [
        {
            "trigger": child.kind,
            "waiting": child.size,
            "batches": "1 h old",
            "CPU s/min": round((late["cpu"] - early["cpu"]) * 60 / WINDOW, 2),
            "RSS MB": round(late["rss"] / 1e6),
            "requests/min": round((late["requests"] - early["requests"]) * 60 / WINDOW),
        }
        for child, early, late in zip(children, before, after, strict=True)
    ]


def measure_young(clock: Clock) -> list[Row]:
    """Measure how late triggers see batches end that are waited for from their first second."""
    children = [Child(kind, YOUNG, clock.url) for kind in SIZES]
    for child in children:
        child.ask()
    for child in children:
        child.begin(clock.send(YOUNG, 1))
    return [
        {
            "trigger": child.kind, "waiting": YOUNG, "batches": f"{YOUNG_LIFE:.0f} s long", "CPU s/min": None,
            "RSS MB": None, "requests/min": None, **child.end(YOUNG_LIFE, clock),
        }
        for child in children
    ]  # fmt: skip


class Child:
    """A process that waits for batches."""

    def __init__(self, kind: str, size: int, url: str) -> None:
        self.kind, self.size = kind, size
        self.sent: Sent = []
        connection = json.dumps(
            {"conn_type": "anthropic", "host": url, "password": "any"}
        )
        env = {
            **os.environ,
            f"AIRFLOW_CONN_{CONN.upper()}": connection,
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        }
        argv = [
            sys.executable,
            str(ROOT / "tests" / "bench" / "on_airflow" / "waiter.py"),
            kind,
        ]
        self._process = subprocess.Popen(
            argv,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def begin(self, sent: Sent) -> None:
        """Let it wait for batches, once it has imported what it needs."""
        self.ask()
        self.sent = sent
        self._say(json.dumps([batch for batch, _ in sent]))

    def ask(self) -> dict[str, float]:
        """Return what it has used so far."""
        self._say("")
        return dict(self._line())

    def watch(self) -> None:
        """Let it watch its loop for stalls from now on."""
        self._say("watch")

    def end(self, life: float, clock: Clock) -> Row:
        """Return the median of what passed between a batch's end and its trigger's event, and the longest stall."""
        told = self._line()
        self._process.communicate()
        ends = [sent + life - clock.ahead for _, sent in self.sent]
        delays = [at - end for at, end in zip(told["fired"], ends, strict=True)]
        stall = round(told["stall"] * 1_000) or None
        return {
            "median delay s": round(statistics.median(delays), 1),
            "longest stall ms": stall,
        }

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _line(self) -> Any:
        assert self._process.stdout is not None
        return next(
            json.loads(line[1:])
            for line in self._process.stdout
            if line.startswith("=")
        )


if __name__ == "__main__":
    before = os.getloadavg()[0]
    found = run()
    show("waiting", TITLE, found)
    renew("waiting", f"{TITLE}.\nMeasured on {machine()}; {busy(before)}.", found)
