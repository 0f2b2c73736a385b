"""A process that waits for batches in one event loop, as a triggerer does, and tells what it uses.

On stdin, an empty line asks what was used so far; another names the batches to wait for. At last it tells when each
trigger fired.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from typing import Any

POLL = 60
CONN = "bench"
TICK = 0.02


async def main(kind: str) -> None:
    """Run one trigger a batch, as told on stdin."""
    from airflow.providers.anthropic.hooks.anthropic import AnthropicHook

    await AnthropicHook(CONN).get_async_conn()
    trigger(kind, "")
    requests, stalls = Requests(), Stalls()
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).setLevel(logging.INFO)
        logging.getLogger(name).addHandler(requests)
    watching = asyncio.ensure_future(stalls.watch())
    while not (line := await asyncio.to_thread(sys.stdin.readline)).strip():
        tell(requests, stalls)
    waits = [asyncio.ensure_future(first_event(trigger(kind, batch))) for batch in json.loads(line)]
    answering = asyncio.ensure_future(answer(requests, stalls))
    print("=" + json.dumps(await asyncio.gather(*waits)), flush=True)
    for task in (watching, answering):
        task.cancel()
    os._exit(0)  # the thread that reads stdin never ends


async def answer(requests: Requests, stalls: Stalls) -> None:
    """Tell what was used, whenever a line is read."""
    while await asyncio.to_thread(sys.stdin.readline):
        tell(requests, stalls)


def tell(requests: Requests, stalls: Stalls) -> None:
    """Tell what was used, and the longest stall since this was last told."""
    import psutil

    used = {
        "cpu": time.process_time(),
        "rss": psutil.Process().memory_info().rss,
        "requests": requests.count,
        "stall": stalls.take(),
    }
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

        return AnthropicBatchTrigger(CONN, batch, POLL, time.time() + 86_400)
    from nightbatch.triggers.batch import BatchTrigger

    return BatchTrigger(batch, CONN, str(POLL))


class Requests(logging.Handler):
    """Counts the requests that the HTTP client logs."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.getMessage().startswith("HTTP Request")


class Stalls:
    """The longest time for which the loop could not do something else."""

    longest = 0.0

    async def watch(self) -> None:
        """Look how late a short sleep ends, again and again."""
        while True:
            begin = time.monotonic()
            await asyncio.sleep(TICK)
            self.longest = max(self.longest, time.monotonic() - begin - TICK)

    def take(self) -> float:
        """Return the longest so far, and begin anew."""
        longest, self.longest = self.longest, 0.0
        return longest


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
