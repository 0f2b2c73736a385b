"""An Iceberg table as the destination of a partition; its commits hold what was published before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from nightbatch.columnar import parquet
from nightbatch.ledger.marker import Profile
from nightbatch.ports import Store, Table
from nightbatch.publish.schema_changes import Columns
from nightbatch.publish.targets.iceberg_columns import filled, fitting, with_path

PARTITION = "nightbatch.partition"
REPORT = "nightbatch.report"
PROFILE = "nightbatch.profile"
COLUMNS = "nightbatch.columns"
ByPartition = dict[str, Any]
"""Something that is known of each partition, by the partition's name."""


@dataclass(frozen=True)
class TableTarget:
    """A table of a catalog, whose files hold the columns of the partition's path too."""

    table: Table
    partition: str

    def open(self, schema: pa.Schema) -> tuple[Store, pa.Schema]:
        """Return the store that takes the files, and their schema."""
        path_schema = with_path(schema, self.partition)
        table_schema = fitting(path_schema)
        store = self.table.open(table_schema, self.partition)
        return store, table_schema

    def fill(self, rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        """Give rows the columns of a file."""
        return filled(rows, schema, self.partition)

    def profiles(self, nights: int) -> list[Profile]:
        """Return the profiles of the last nights."""
        profiles_by_partition = self._summary_values(PROFILE)
        earlier_partitions = sorted(self._earlier(profiles_by_partition))
        earlier_profiles = [profiles_by_partition[name] for name in earlier_partitions]
        return earlier_profiles[-nights:]

    def columns_before(self) -> Columns | None:
        """Return the columns of the partition before, else of this one as published."""
        columns_by_partition = self._summary_values(COLUMNS)
        earlier_partitions = self._earlier(columns_by_partition)
        last_before = max(earlier_partitions, default=self.partition)
        return columns_by_partition.get(last_before)

    def rows_before(self) -> int:
        """Count the rows of the partition as published, else of the one before."""
        reports = self._summary_values(REPORT)
        report = reports.get(self.partition)
        if not report:
            last_before = max(self._earlier(reports), default="")
            report = reports.get(last_before, {})
        row_count = report.get("rows")
        return int(row_count or 0)

    def replace(
        self,
        store: Store,
        uploads: Sequence[parquet.ParquetUpload],
        marker: Mapping[str, Any],
        schema: pa.Schema,
    ) -> None:
        """Commit the files as the partition; the report goes with the commit."""
        for upload in uploads:
            upload.commit()
        report = {
            name: value
            for name, value in marker.items()
            if name not in ("profile", "columns")
        }
        summary = {
            PARTITION: self.partition,
            REPORT: _json_text(report),
            PROFILE: _json_text(marker["profile"]),
            COLUMNS: _json_text(marker["columns"]),
        }
        urls = [f"{store.url}{upload.key}" for upload in uploads]
        self.table.replace(self.partition, urls, summary, schema)

    def _earlier(self, partitions: Iterable[str]) -> list[str]:
        return [partition for partition in partitions if partition < self.partition]

    def _summary_values(self, name: str) -> ByPartition:
        """Read one entry of the newest commit of each partition."""
        values: ByPartition = {}
        for summary in self.table.summaries():
            partition = summary.get(PARTITION)
            value_json = summary.get(name)
            if partition is None or value_json is None:
                continue
            value = msgspec.json.decode(value_json)
            values[partition] = value
        return values


def _json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()
