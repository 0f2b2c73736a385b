"""A folder of files as the destination of a partition.

All files are uploaded before the old ones are touched. Then the old `_SUCCESS` and the old files are removed, the new
files are completed, and the new `_SUCCESS` is written. A reader that requires `_SUCCESS` never sees two runs mixed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
import pyarrow as pa

from nightbatch.columnar import parquet
from nightbatch.errors import StoreError
from nightbatch.failpoints import reach
from nightbatch.ledger import keys, marker
from nightbatch.ledger.marker import Marker, Profile
from nightbatch.ports import Store
from nightbatch.publish.schema_changes import Columns
from nightbatch.spec import locations


@dataclass(frozen=True)
class _Content:
    """What a published folder is compared by: the keys of its files, and a hash of their columns."""

    file_keys: set[str]
    schema_hash: str


@dataclass(frozen=True)
class FolderTarget:
    """A folder of files."""

    store: Store
    partition: str

    @property
    def _folder(self) -> str:
        return locations.folder(self.partition)

    def open(self, schema: pa.Schema) -> tuple[Store, pa.Schema]:
        """Return the store that takes the files, and their schema."""
        return self.store, schema

    def fill(self, rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        """Give rows the columns of a file."""
        return rows

    def profiles(self, nights: int) -> list[Profile]:
        """Read the profiles of the last partitions before this one in the same parent folder, the newest last."""
        last_markers = islice(self._siblings_before(), nights)
        newest_first = [earlier.profile for earlier in last_markers if earlier.profile]
        return newest_first[::-1]

    def _siblings_before(self) -> Iterator[Marker]:
        """Read the partitions before this one in the same parent folder, the newest first."""
        parent_folder = self._folder.rstrip("/").rpartition("/")[0]
        within = f"{parent_folder}/" if parent_folder else ""
        return marker.before(self.store, self._folder, within=within)

    def columns_before(self) -> Columns | None:
        """Read the columns of the last partition whose name comes before this one's, else of this one as published.

        None if neither is published.
        """
        compared = self._last_before() or self._published()
        if compared is None:
            return None
        return compared.columns or None

    def rows_before(self) -> int:
        """Count the rows of the partition as published, else of the one before it; 0 if neither is published."""
        compared = self._published() or self._last_before()
        return compared.rows if compared else 0

    def _published(self) -> Marker | None:
        return marker.read(self.store, self._folder)

    def _last_before(self) -> Marker | None:
        return next(marker.before(self.store, self._folder), None)

    def replace(
        self,
        store: Store,
        uploads: Sequence[parquet.ParquetUpload],
        report: Mapping[str, Any],
        schema: pa.Schema,
    ) -> None:
        """Replace the files of the folder; do nothing if exactly these files are published already."""
        content = _Content(
            file_keys={upload.key for upload in uploads},
            schema_hash=hashlib.sha256(schema.serialize()).hexdigest()[:16],
        )
        marker.refuse_foreign(store, self._folder)
        old_keys = self._data_files()
        has_same_files = set(old_keys) == content.file_keys
        if has_same_files and self._is_published(content):
            return
        success_key = self._folder + locations.SUCCESS
        store.remove([success_key])
        reach("old _SUCCESS removed")
        store.remove(key for key in old_keys if key not in content.file_keys)
        reach("old files removed")
        for upload in uploads:
            upload.commit()
            reach("file published")
        self._write_success(success_key, report, content)
        reach("_SUCCESS written")

    def _write_success(
        self, success_key: str, report: Mapping[str, Any], content: _Content
    ) -> None:
        """Create `_SUCCESS`; raise StoreError if another run has published other files in the meantime."""
        success = {
            **report,
            "files": sorted(content.file_keys),
            "schema_hash": content.schema_hash,
        }
        is_created = self.store.create(success_key, msgspec.json.encode(success))
        if is_created or self._is_published(content):
            return
        self._withdraw(content.file_keys)
        raise StoreError(
            f"{self.store.url}{success_key}: another run has published at the same time. Publish again."
        )

    def _data_files(self) -> list[str]:
        """List the data files of the folder that nightbatch has written."""
        folder = self._folder
        all_keys = [entry.key for entry in self.store.children(folder)]
        return [key for key in all_keys if keys.is_part(key.removeprefix(folder))]

    def _withdraw(self, file_keys: set[str]) -> None:
        """Remove our files from a partition that another run has just published, except those that it published too."""
        published = self._published()
        published_keys = set(published.files if published else [])
        withdrawn_keys = file_keys - published_keys
        self.store.remove(sorted(withdrawn_keys))

    def _is_published(self, content: _Content) -> bool:
        """Check whether exactly these files are published already: then the partition is not changed."""
        published = self._published()
        if published is None:
            return False
        published_content = _Content(set(published.files), published.schema_hash)
        return published_content == content
