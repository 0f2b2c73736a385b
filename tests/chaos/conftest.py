"""The whole matrix with other seeds: `make chaos` sets the seed; without one, nothing here is collected."""

from __future__ import annotations

import os

from tests.support.crashes.case_table import judged, table  # noqa: F401 - fixtures
from tests.support.crashes.chaos import SEED
from tests.support.crashes.runs import (  # noqa: F401 - fixtures
    emulator,
    s3_url,
    turned,
    undisturbed,
    world,
)

collect_ignore_glob = [] if SEED in os.environ else ["test_*.py"]
