"""What the money tests share: an emulator, and a fresh shop for every test."""

from tests.support.nights.shop import shop  # noqa: F401 - a fixture

from nightbatch.emulator.fixtures import (  # noqa: F401 - fixtures
    message_batches_api,
    message_batches_server,
    message_batches_settings,
)
