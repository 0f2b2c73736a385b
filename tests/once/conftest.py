"""What the tests of buying once share: an S3 server, an emulator whose books are the judge, and processes to kill."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from tests.once.flow import Flow, RealWorld
from tests.once.judge import CASES, Table, Verdict, verdict
from tests.s3 import serving

from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.settings import Pace, Settings

Judged = Callable[..., Verdict]


@pytest.fixture(scope="session")
def table() -> Iterator[Table]:
    """Gather the cases of the session; where the environment asks for it, write them down at its end."""
    yield CASES
    CASES.write()


@pytest.fixture
def judged(table: Table) -> Judged:
    """Return how a case is judged: nothing was bought twice and no paid answer was lost; and noted in the table."""

    def judge(where: str, case: str, happens: str, *flows: Flow, twice: int = 0) -> Verdict:
        seen = verdict(*flows)
        table.add(where, case, happens, seen)
        assert seen == Verdict(twice, 0)
        return seen

    return judge


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """Run moto for the whole session."""
    os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    with serving() as url:
        yield url


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """Run one emulator for the whole session."""
    with running(Settings(pace=Pace(seconds=0.05))) as server:
        yield server


@pytest.fixture
def world(s3_url: str, emulator: Emulator) -> RealWorld:
    """Return a world of real servers, with empty books."""
    emulator.reset()
    return RealWorld(s3_url, emulator.url)
