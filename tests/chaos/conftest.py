"""The whole matrix with other seeds: `make chaos` sets the seed; without one, nothing here is collected."""

from __future__ import annotations

import os

SEED = "NIGHTBATCH_CHAOS_SEED"
collect_ignore_glob = [] if SEED in os.environ else ["test_*.py"]

if SEED in os.environ:
    pass
