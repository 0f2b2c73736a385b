"""The prices in force: our table, and over it the user's own file where NIGHTBATCH_PRICES names one."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

from nightbatch.core.errors import SettingsError
from nightbatch.core.price import DEFAULT, Prices

VARIABLE = "NIGHTBATCH_PRICES"


def prices() -> Prices:
    """Return the prices in force. Raises SettingsError where the user's file cannot be read."""
    name = os.environ.get(VARIABLE)
    return _over(Path(name), Path(name).stat().st_mtime_ns if Path(name).is_file() else 0) if name else DEFAULT


@cache
def _over(path: Path, _: int) -> Prices:
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{VARIABLE}: {path} cannot be read: {error}") from None
    if not isinstance(given, dict):
        raise SettingsError(f"{VARIABLE}: {path} must hold an object, in the form of nightbatch/core/prices.json.")
    return DEFAULT.over(given)
