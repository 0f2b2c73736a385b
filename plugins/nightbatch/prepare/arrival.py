"""Whether a partition's input has arrived: by its marker, or by Parquet files that have stopped changing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from nightbatch.errors import SettingsError
from nightbatch.spec.locations import SUCCESS, is_data_file, is_hidden

WAITS = ("any", SUCCESS)


ListedObject = tuple[str, datetime]
"""An object's key below the source, and the time it was written."""


def arrived(
    listed: Iterable[ListedObject], wait_for: str, quiet_since: datetime
) -> bool:
    """Return whether the listed objects of a partition are a complete input.

    `any` accepts the marker, or Parquet files
    of which none was written after `quiet_since`, since an upstream that writes no marker may still be writing files.
    Any other `wait_for` accepts only the marker.
    """
    if wait_for not in WAITS:
        choices = ", ".join(WAITS)
        raise SettingsError(f"wait_for: {wait_for!r} must be one of {choices}.")
    objects = list(listed)
    all_keys = [key for key, _ in objects]
    has_marker = any(map(_is_marker, all_keys))
    if has_marker:
        return True
    if wait_for != "any":
        return False
    written_times = [written_at for key, written_at in objects if is_data_file(key)]
    if not written_times:
        return False
    last_written_at = max(written_times)
    return last_written_at <= quiet_since


def _is_marker(key: str) -> bool:
    file_name = key.rpartition("/")[2]
    return file_name == SUCCESS and not is_hidden(key)
