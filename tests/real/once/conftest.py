"""What the tests of buying once share: see `tests/support/crashes/runs.py`."""

from tests.support.crashes.case_table import judged, table  # noqa: F401 - fixtures
from tests.support.crashes.runs import (  # noqa: F401 - fixtures
    emulator,
    s3_url,
    turned,
    undisturbed,
    world,
)
from tests.support.servers.stores import moto_url  # noqa: F401 - a fixture
