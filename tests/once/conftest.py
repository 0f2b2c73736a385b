"""What the tests of buying once share: see `tests/support/runs.py`."""

from tests.support.judge import table  # noqa: F401 - a fixture
from tests.support.runs import (  # noqa: F401 - fixtures
    emulator,
    judged,
    s3_url,
    turned,
    undisturbed,
    world,
)
