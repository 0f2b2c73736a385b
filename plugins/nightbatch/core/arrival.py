"""Whether a partition's input has arrived: by its marker, or by any Parquet file."""

from __future__ import annotations

from collections.abc import Iterable

from nightbatch.core.errors import SettingsError
from nightbatch.core.keys import SUCCESS
from nightbatch.core.ports import Entry

WAITS = ("any", SUCCESS)
_DATA = (".parquet", ".parq", ".pq")


def arrived(listed: Iterable[Entry], wait_for: str) -> bool:
    """Tell whether the objects of a partition are an input; `any`: a marker or a Parquet file, else the marker."""
    if wait_for not in WAITS:
        raise SettingsError(f"wait_for: {wait_for!r} must be one of {', '.join(WAITS)}.")
    names = (entry.key.rsplit("/", 1)[-1] for entry in listed)
    return any(name == SUCCESS or (wait_for == "any" and _is_data(name)) for name in names)


def _is_data(name: str) -> bool:
    return not name.startswith(("_", ".")) and name.lower().endswith(_DATA)
