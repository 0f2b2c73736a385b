"""Size: the largest batch that the API takes is taken, answered and streamed without filling the memory."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from nightbatch.emulator.embedded import Emulator

PLUGINS = Path(__file__).parents[3] / "plugins"
COUNT = 100_000
PARAMS = b'{"model":"claude-haiku-4-5","max_tokens":300,"system":"%b","messages":[{"role":"user","content":"%b %d"}]}'


@pytest.fixture
def process():
    started = subprocess.Popen(
        [sys.executable, "-m", "nightbatch.emulator", "--seconds", "0.01"],
        env={**os.environ, "PYTHONPATH": str(PLUGINS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    yield started
    started.kill()
    started.communicate()


def body():
    system, text = b"x" * 700, b"some words of a ticket " * 28
    items = (
        b'{"custom_id":"row-%d","params":%b}' % (n, PARAMS % (system, text, n))
        for n in range(COUNT)
    )
    return b'{"requests":[' + b",".join(items) + b"]}"


def test_a_hundred_thousand_requests_of_one_and_a_half_kilobytes_pass_through_little_memory(
    process,
):
    emulator = Emulator(process.stdout.readline().strip())
    headers = {
        "x-api-key": "k",
        "anthropic-version": "2023-06-01",
        "content-type": "application/json",
    }
    with httpx.Client(base_url=emulator.url, headers=headers, timeout=120) as http:
        sent = body()
        assert len(sent) > 140_000_000
        batch = (
            http.post("/v1/messages/batches", content=sent).raise_for_status().json()
        )
        emulator.advance(60)
        ended = http.get(f"/v1/messages/batches/{batch['id']}").json()
        assert ended["request_counts"]["succeeded"] == COUNT
        with http.stream(
            "GET", f"/v1/messages/batches/{batch['id']}/results"
        ) as results:
            lines = sum(chunk.count(b"\n") for chunk in results.iter_raw())
    assert lines == COUNT
    assert emulator.books()["bought"]["distinct"] == COUNT
    assert psutil.Process(process.pid).memory_info().rss < 300_000_000
