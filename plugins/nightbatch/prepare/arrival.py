"""Whether a partition's input has arrived: by its marker, or by Parquet files that nobody adds to any more."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from nightbatch.errors import SettingsError
from nightbatch.spec.locations import SUCCESS, is_data_file, is_hidden

WAITS = ("any", SUCCESS)


def arrived(
    listed: Iterable[tuple[str, datetime]], wait_for: str, quiet_since: datetime
) -> bool:
    """Tell whether the objects of a partition, each by its key below the source and its time of writing, are an input.

    `any`: the marker, or Parquet files of which none was written after `quiet_since`, since an upstream that writes
    no marker may be in the midst of writing files; else the marker alone.
    """
    if wait_for not in WAITS:
        raise SettingsError(
            f"wait_for: {wait_for!r} must be one of {', '.join(WAITS)}."
        )
    written = list(listed)
    if any(
        key.rpartition("/")[2] == SUCCESS and not is_hidden(key) for key, _ in written
    ):
        return True
    data = [at for key, at in written if is_data_file(key)]
    return wait_for == "any" and bool(data) and max(data) <= quiet_since
