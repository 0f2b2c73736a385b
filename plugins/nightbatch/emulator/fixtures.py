"""Fixtures for tests of code that calls the Message Batches API.

`pytest_plugins = ["nightbatch.emulator.fixtures"]` gives `message_batches_api`: one emulator for the whole session,
reset before every test. Override the fixture `message_batches_settings` (session scope) to change its settings.
"""

from collections.abc import Iterator

import pytest

from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.settings import BatchDuration, Settings


@pytest.fixture(scope="session")
def message_batches_settings() -> Settings:
    """Return the emulator's settings: quick batches."""
    return Settings(pace=BatchDuration(seconds=0.05))


@pytest.fixture(scope="session")
def message_batches_server(message_batches_settings: Settings) -> Iterator[Emulator]:
    """Run one emulator for the whole session."""
    with running(message_batches_settings) as emulator:
        yield emulator


@pytest.fixture
def message_batches_api(message_batches_server: Emulator) -> Emulator:
    """Return an emulator that has forgotten everything."""
    message_batches_server.reset()
    return message_batches_server
