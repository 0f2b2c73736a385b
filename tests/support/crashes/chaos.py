"""What switches the long tests on."""

from __future__ import annotations

SEED = "NIGHTBATCH_CHAOS_SEED"
