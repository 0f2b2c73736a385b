"""What the money tests share: an emulator, and a fresh shop for every test."""

from __future__ import annotations

import pytest
from tests.money.shop import Shop

from nightbatch.emulator.embedded import Emulator
from nightbatch.emulator.fixtures import (  # noqa: F401 - a conftest below the root cannot name plugins
    message_batches_api,
    message_batches_server,
    message_batches_settings,
)


@pytest.fixture
def shop(message_batches_api: Emulator) -> Shop:  # noqa: F811
    """Open a fresh shop."""
    return Shop(message_batches_api)
