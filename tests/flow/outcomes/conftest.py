"""What the tests of outcomes share: a night over a lake in memory, see `tests/support/nights/night.py`."""

from tests.support.nights.night import (  # noqa: F401 - fixtures
    make_tickets,
    message_batches_settings,
    night,
    to_parquet,
)

from nightbatch.emulator.fixtures import (  # noqa: F401 - fixtures
    message_batches_api,
    message_batches_server,
)
