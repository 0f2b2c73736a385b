"""A process that waits for batches in one event loop, as a triggerer does, and tells what it uses.

On stdin, an empty line asks what was used so far, the first other one names the batches to wait for, and the next lets
the loop be watched for stalls, which costs CPU time. At last it tells when each trigger fired, and the longest stall.
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
    while not (line := await asyncio.to_thread(sys.stdin.readline)).strip():
        tell(requests)
    waits = [
        asyncio.ensure_future(first_event(trigger(kind, batch)))
        for batch in json.loads(line)
    ]
    answering = asyncio.ensure_future(answer(requests, stalls))
    print(
        "="
        + json.dumps({"fired": await asyncio.gather(*waits), "stall": stalls.longest}),
        flush=True,
    )
    answering.cancel()
    os._exit(0)  # the thread that reads stdin never ends


async def answer(requests: Requests, stalls: Stalls) -> None:
    """Tell what was used, whenever an empty line is read; watch for stalls from another on."""
    while not (await asyncio.to_thread(sys.stdin.readline)).strip():
        tell(requests)
    await stalls.watch()


def tell(requests: Requests) -> None:
    """Tell what was used."""
    import psutil

    used = {
        "cpu": time.process_time(),
        "rss": psutil.Process().memory_info().rss,
        "requests": requests.count,
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
    from nightbatch.airflow.triggers.batch import BatchTrigger

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


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
