"""How long things may take, from the environment; without Airflow, for the command line too."""

from __future__ import annotations

import os
from dataclasses import fields

from nightbatch.submit.decide import SubmitTiming


def timing() -> SubmitTiming:
    """Read how long things may take; NIGHTBATCH_FUSE_SECONDS and the like override the defaults."""
    overrides: dict[str, float] = {}
    for timing_field in fields(SubmitTiming):
        variable_name = f"NIGHTBATCH_{timing_field.name.upper()}_SECONDS"
        seconds_text = os.environ.get(variable_name)
        if seconds_text:
            overrides[timing_field.name] = float(seconds_text)
    return SubmitTiming(**overrides)
