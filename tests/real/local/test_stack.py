"""The outer world of a stack, S3 and the emulator, for real; and the command line, interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from anthropic import Anthropic
from botocore.exceptions import ClientError
from sqlalchemy import create_engine, text

from nightbatch.local.stack.environment import BUSY_SECONDS, DATABASE
from nightbatch.local.stack.errors import ServiceDied
from nightbatch.local.stack.processes import Service, marked
from nightbatch.local.stack.settings import API_KEY, BUCKET, EMULATOR, S3, Settings
from nightbatch.local.stack.stack import Stack


@pytest.fixture(scope="module")
def outer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(
        Settings(home=tmp_path_factory.mktemp("outer"), parts=(S3, EMULATOR))
    ) as stack:
        yield stack


def test_a_table_put_into_the_lake_is_read_back(outer: Stack, tmp_path: Path) -> None:
    night = pa.table({"n": [1, 2, 3]})
    outer.lake.put_table("a/dt=1/part-0.parquet", night.slice(0, 2))
    outer.lake.put_table("a/dt=1/part-1.parquet", night.slice(2))
    assert outer.lake.table("a/dt=1/") == night
    outer.lake.save(tmp_path)
    assert (tmp_path / "a/dt=1/part-1.parquet").read_bytes() == outer.lake.get(
        "a/dt=1/part-1.parquet"
    )


def test_the_lake_honours_create_only_writes(outer: Stack) -> None:
    outer.lake.put("fact", b"first")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        outer.lake.client.put_object(
            Bucket=BUCKET, Key="fact", Body=b"second", IfNoneMatch="*"
        )


def test_two_stacks_live_side_by_side(outer: Stack, tmp_path: Path) -> None:
    with Stack(Settings(home=tmp_path / "home", parts=(S3,))) as other:
        outer.lake.put("only-here", b"")
        assert other.lake.keys() == []
        assert not other.emulator.alive
    assert outer.s3.alive


def test_an_emulator_that_was_killed_remembers_its_batches(outer: Stack) -> None:
    batches = Anthropic(base_url=outer.emulator_url, api_key=API_KEY).messages.batches
    params = {
        "model": "claude-haiku-4-5",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hello"}],
    }
    batch = batches.create(requests=[{"custom_id": "a", "params": params}])  # type: ignore[typeddict-item]
    outer.emulator.kill()
    assert not outer.emulator.alive
    outer.emulator.restart()
    assert batches.retrieve(batch.id).id == batch.id
    assert outer.books()["batches"]["created"] == 1


def test_a_part_that_ended_by_itself_is_named_and_one_that_was_killed_by_the_stack_is_not(
    outer: Stack,
) -> None:
    outer.emulator.kill()
    outer.check()
    outer.emulator.restart()
    os.kill(outer.emulator.pid, signal.SIGKILL)
    while outer.emulator.alive:
        time.sleep(0.02)
    with pytest.raises(ServiceDied, match="emulator ended by itself"):
        outer.check()
    outer.emulator.restart()
    outer.check()


def test_whatever_would_end_waits_longer_for_the_database_than_the_api_server_holds_it(
    tmp_path: Path,
) -> None:
    def patience(part: Service) -> int:
        with create_engine(part.env[DATABASE]).connect() as database:
            return int(database.execute(text("PRAGMA busy_timeout")).scalar_one())

    stack = Stack(Settings(home=tmp_path))
    (tmp_path / "airflow").mkdir()
    assert patience(stack.api_server) == 5_000
    for part in (stack.scheduler, stack.triggerer, stack.dag_processor):
        assert patience(part) == 1_000 * BUSY_SECONDS


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_leaves_nothing_running(
    tmp_path: Path, sent: signal.Signals
) -> None:
    home = tmp_path / "home"
    demo = subprocess.Popen(
        [sys.executable, "-m", "nightbatch.local", "demo", "--home", str(home)]
    )
    deadline = time.monotonic() + 60
    while len(marked(home)) < 3:
        assert demo.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    demo.send_signal(sent)
    assert demo.wait(30) == 128 + sent
    assert marked(home) == []
