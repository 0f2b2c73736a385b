"""Whether a partition's input has arrived: by its marker, or by Parquet files that nobody adds to any more."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from nightbatch.core.errors import SettingsError
from nightbatch.core.keys import SUCCESS

WAITS = ("any", SUCCESS)
_DATA = (".parquet", ".parq", ".pq")


def arrived(listed: Iterable[tuple[str, datetime]], wait_for: str, quiet_since: datetime) -> bool:
    """Tell whether the objects of a partition, each with the time it was written, are an input.

    `any`: the marker, or Parquet files of which none was written after `quiet_since`, since an upstream that writes
    no marker may be in the midst of writing files; else the marker alone.
    """
    if wait_for not in WAITS:
        raise SettingsError(f"wait_for: {wait_for!r} must be one of {', '.join(WAITS)}.")
    written = [(key.rsplit("/", 1)[-1], at) for key, at in listed]
    if any(name == SUCCESS for name, _ in written):
        return True
    data = [at for name, at in written if _is_data(name)]
    return wait_for == "any" and bool(data) and max(data) <= quiet_since


def _is_data(name: str) -> bool:
    return not name.startswith(("_", ".")) and name.lower().endswith(_DATA)
