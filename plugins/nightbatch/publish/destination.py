"""Where a partition is published: a folder of a target, or an Iceberg table; and what stood there before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from nightbatch.columnar import parquet
from nightbatch.ledger.marker import Profile
from nightbatch.ports import Store, Table
from nightbatch.publish.before import columns_before, profiles, rows_before
from nightbatch.publish.iceberg_columns import filled, fitting, with_path
from nightbatch.publish.schema_changes import Columns
from nightbatch.spec import locations

PARTITION, REPORT, PROFILE, COLUMNS = (
    f"nightbatch.{name}" for name in ("partition", "report", "profile", "columns")
)


@dataclass(frozen=True)
class Folder:
    """A folder of files."""

    store: Store
    partition: str

    def open(self, schema: pa.Schema) -> tuple[Store, pa.Schema]:
        """Return where files go, and what columns they have."""
        return self.store, schema

    def fill(self, rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        """Give rows the columns of a file."""
        return rows

    def profiles(self, nights: int) -> list[Profile]:
        """Return the profiles of the last nights."""
        return profiles(self.store, self.partition, nights)

    def columns_before(self) -> Columns | None:
        """Return the columns of the partition before."""
        return columns_before(self.store, locations.folder(self.partition))

    def rows_before(self) -> int:
        """Count the rows of the partition as it stands, else of the one before."""
        return rows_before(self.store, locations.folder(self.partition))


@dataclass(frozen=True)
class Catalogued:
    """A table of a catalog, whose files hold the columns of the partition's path too."""

    table: Table
    partition: str

    def open(self, schema: pa.Schema) -> tuple[Store, pa.Schema]:
        """Return where files go, and what columns they have."""
        whole = fitting(with_path(schema, self.partition))
        return self.table.open(whole, self.partition), whole

    def fill(self, rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        """Give rows the columns of a file."""
        return filled(rows, schema, self.partition)

    def profiles(self, nights: int) -> list[Profile]:
        """Return the profiles of the last nights."""
        told = self._told(PROFILE)
        return [
            told[partition] for partition in sorted(told) if partition < self.partition
        ][-nights:]

    def columns_before(self) -> Columns | None:
        """Return the columns of the partition before, else of this one as it stands."""
        told = self._told(COLUMNS)
        earlier = max(
            (partition for partition in told if partition < self.partition),
            default=self.partition,
        )
        return told.get(earlier)

    def rows_before(self) -> int:
        """Count the rows of the partition as it stands, else of the one before."""
        reports = self._told(REPORT)
        earlier = max(
            (partition for partition in reports if partition < self.partition),
            default="",
        )
        report = reports.get(self.partition) or reports.get(earlier) or {}
        return int(report.get("rows") or 0)

    def replace(
        self,
        store: Store,
        made: Sequence[parquet.Sheet],
        marker: Mapping[str, Any],
        schema: pa.Schema,
    ) -> None:
        """Commit the files as the partition; the report goes with the commit."""
        for sheet in made:
            sheet.commit()
        report = {
            name: value
            for name, value in marker.items()
            if name not in ("profile", "columns")
        }
        told = {REPORT: report, PROFILE: marker["profile"], COLUMNS: marker["columns"]}
        summary = {
            name: msgspec.json.encode(value).decode() for name, value in told.items()
        }
        urls = [f"{store.url}{sheet.key}" for sheet in made]
        self.table.replace(
            self.partition, urls, {PARTITION: self.partition, **summary}, schema
        )

    def _told(self, name: str) -> dict[str, Any]:
        """Read one entry of the newest commit of each partition."""
        commits = [
            one for one in self.table.summaries() if PARTITION in one and name in one
        ]
        return {one[PARTITION]: msgspec.json.decode(one[name]) for one in commits}
