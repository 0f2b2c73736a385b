"""Which table a dataset is loaded into, and how. Imports next to nothing: DAG files load it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nightbatch.errors import SettingsError

MODES = ("replace", "merge")


@dataclass(frozen=True)
class Loading:
    """Where a dataset goes and how.

    :param table: the table, or `schema.table`; created where it is not there.
    :param mode: `replace`: the rows of a partition replace those it had. `merge`: one row for each key, that of the
        newest partition that has it.
    :param key: columns that identify a row; needed for `merge`.
    """

    table: str
    mode: str = "replace"
    key: Sequence[str] = ()

    def check(self) -> None:
        """Refuse what cannot work."""
        if self.mode not in MODES:
            raise SettingsError(
                f"mode: {self.mode!r} must be one of {', '.join(MODES)}."
            )
        if self.mode == "merge" and not self.key:
            raise SettingsError("key: merge needs the columns that identify a row.")
        if (
            not self.table.strip()
            or self.table.count(".") > 1
            or not all(self.table.split("."))
        ):
            raise SettingsError(
                f"table: {self.table!r} must be a name such as ticket_triage or mart.ticket_triage."
            )
