"""Refuses a prompt over times whose zone is not known: a prompt shows the time of day in that zone.

Key and keep columns may have any zone: they are copied as the instants that they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from nightbatch.errors import SourceError
from nightbatch.prepare.file_schemas import FileSchema


def check_zones(file: FileSchema, columns: Iterable[str]) -> None:
    """Raise SourceError for the first of these columns of a file that has a time zone nobody knows, at any depth."""
    for name in columns:
        field = file.field(name)
        for zone in _zones(field.type):
            if not _is_known(zone):
                raise SourceError(
                    f"prompt: column {name!r} of {file.key} has times in the zone {zone[:100]!r}, which is not known: "
                    "write them as UTC, or with a name of the IANA database such as Europe/Berlin; or leave the column "
                    "out of the prompt."
                )


def _zones(kind: pa.DataType) -> Iterator[str]:
    """Yield the time zones in a type."""
    if pa.types.is_timestamp(kind):
        if kind.tz:
            yield kind.tz
    elif pa.types.is_dictionary(kind):
        yield from _zones(kind.value_type)
    else:
        for place in range(kind.num_fields):
            inner_field = kind.field(place)
            yield from _zones(inner_field.type)


def _is_known(zone: str) -> bool:
    """Tell whether a time in this zone can be read: Arrow asks pytz or zoneinfo, whose errors differ."""
    try:
        pa.scalar(0, pa.timestamp("s", zone)).as_py()
    except (LookupError, ValueError, OSError):
        return False
    return True
