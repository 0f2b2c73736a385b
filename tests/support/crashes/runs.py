"""Fixtures of runs on real servers: an S3 server, an emulator whose books are the judge, and processes to kill."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.crashes.turned import Turned
from tests.support.nights.flow import TARGET, Flow, published, rows
from tests.support.nights.real import TEXTS, RealWorld
from tests.support.servers import account
from tests.support.servers.seaweed import seaweed

from nightbatch.emulator.embedded import Emulator


@pytest.fixture(scope="session")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run SeaweedFS for the whole session: ten runs at once would wait for moto, which is one Python process."""
    os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    with seaweed(tmp_path_factory.mktemp("seaweed")) as url:
        yield url


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Run one emulator for the whole session, in a process of its own."""
    with account.serving() as server:
        yield server


@pytest.fixture
def world(s3_url: str, emulator: Emulator) -> RealWorld:
    """Return a world of real servers, with empty books."""
    emulator.reset()
    return RealWorld(s3_url, emulator.url)


@pytest.fixture
def turned(world: RealWorld, tmp_path: Path) -> Turned:
    """Return the same world with a clock that can be turned."""
    return Turned(replace(world, clock=str(tmp_path / "clock")))


@pytest.fixture(scope="session")
def undisturbed(s3_url: str, emulator: Emulator) -> list[dict[str, object]]:
    """Return what an undisturbed run publishes."""
    emulator.reset()
    world = RealWorld(s3_url, emulator.url)
    world.make_bucket(rows(TEXTS))
    Flow(world).run()
    return published(world.store(TARGET))
