"""How long things may take, from the environment; without Airflow, for the command line too."""

from __future__ import annotations

import os
from dataclasses import fields

from nightbatch.submit.decide import Timing


def timing() -> Timing:
    """Read how long things may take; NIGHTBATCH_FUSE_SECONDS and its like override the defaults."""
    given = {
        one.name: os.environ.get(f"NIGHTBATCH_{one.name.upper()}_SECONDS")
        for one in fields(Timing)
    }
    return Timing(**{name: float(value) for name, value in given.items() if value})
