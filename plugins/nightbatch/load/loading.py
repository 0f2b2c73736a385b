"""Which table a dataset is loaded into, and how. Has few imports, because DAG files import it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nightbatch.errors import SettingsError

MODES = ("replace", "merge")


@dataclass(frozen=True)
class Loading:
    """The table that a dataset is loaded into, and how.

    :param table: the table, or `schema.table`; created if it does not exist.
    :param mode: `replace`: the rows of a partition replace those it had. `merge`: one row per key, from the
        newest partition that has the key.
    :param key: columns that identify a row; needed for `merge`.
    """

    table: str
    mode: str = "replace"
    key: Sequence[str] = ()

    def check(self) -> None:
        """Raise SettingsError if the parameters cannot work."""
        if self.mode not in MODES:
            raise SettingsError(
                f"mode: {self.mode!r} must be one of {', '.join(MODES)}."
            )
        if self.mode == "merge" and not self.key:
            raise SettingsError("key: merge needs the columns that identify a row.")
        if not _is_table_name(self.table):
            raise SettingsError(
                f"table: {self.table!r} must be a name such as ticket_triage or mart.ticket_triage."
            )


def _is_table_name(name: str) -> bool:
    """Tell whether a name has the form `table` or `schema.table`."""
    name_parts = name.split(".")
    if not name.strip() or len(name_parts) > 2:
        return False
    return all(name_parts)
