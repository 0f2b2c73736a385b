"""A table in an Iceberg catalog: a partition is replaced by one commit, and no existing file is rewritten.

Metadata goes through our own store like everything else, so that it is whole, create-only and encrypted as asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NoSuchTableError,
    TableAlreadyExistsError,
    ValidationError,
    ValidationException,
)
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, EqualTo
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.table import Table, TableProperties, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot

from nightbatch.errors import TargetError, WarehouseRefused
from nightbatch.messages.safe_words import printable
from nightbatch.ports import Store
from nightbatch.spec.hive_columns import values_of

COMMIT_TRIES = 5


class IcebergTable:
    """One table of a catalog, which is created with its first partition.

    :param catalog: the catalog, whose file IO is `nightbatch.io.iceberg_files.StoreIO`.
    :param name: `namespace.table`.
    :param opener: opens a store below a URL.
    :param location: where the table is to be created; None: where the catalog puts it.
    """

    def __init__(
        self,
        catalog: Catalog,
        name: str,
        opener: Callable[[str], Store],
        location: str | None = None,
    ) -> None:
        self.catalog = catalog
        self.name = name
        self.opener = opener
        self.location = location

    def place(self) -> str | None:
        """Return the URL of the table's folder; None if the table does not exist and no location is set for it."""
        with self._refusing():
            if self.catalog.table_exists(self.name):
                return self._present_location()
        return self.location

    def open(self, schema: pa.Schema, partition: str) -> Store:
        partition_columns = columns(partition)
        with self._refusing():
            return self._open_table(schema, partition_columns)

    def _open_table(self, schema: pa.Schema, partition_columns: Iterable[str]) -> Store:
        if not self.catalog.table_exists(self.name):
            namespace, _, _ = self.name.rpartition(".")
            self.catalog.create_namespace_if_not_exists(namespace)
            self._create(schema, partition_columns)
        table_url = self._present_location().rstrip("/")
        return self.opener(f"{table_url}/data/")

    def _present_location(self) -> str:
        return self.catalog.load_table(self.name).location()

    def _create(self, schema: pa.Schema, partition_columns: Iterable[str]) -> None:
        """Create the table together with its partitioning; harmless where another run does so at the same time."""
        try:
            creation = self.catalog.create_table_transaction(
                self.name, _nullable(schema), self.location
            )
            with creation, creation.update_spec() as partition_spec:
                for column in partition_columns:
                    partition_spec.add_identity(column)
        except (TableAlreadyExistsError, CommitFailedException):
            if not self.catalog.table_exists(self.name):
                raise

    def replace(
        self,
        partition: str,
        files: Iterable[str],
        summary: dict[str, str],
        schema: pa.Schema,
    ) -> None:
        with self._refusing():
            self._commit(partition, set(files), summary, schema)

    def _commit(
        self, partition: str, urls: set[str], summary: dict[str, str], schema: pa.Schema
    ) -> None:
        """Commit; try again where another commit came first."""
        for tries_left in reversed(range(COMMIT_TRIES)):
            table = self.catalog.load_table(self.name)
            try:
                with table.transaction() as transaction:
                    with transaction.update_schema() as schema_update:
                        schema_update.union_by_name(_nullable(schema))
                    _replace(table, transaction, partition, urls, summary)
                return
            except ValidationError as error:
                reason = printable(str(error))
                raise TargetError(
                    f"table {self.name}: {reason}. Nothing was published."
                ) from None
            except (CommitFailedException, ValidationException):
                if not tries_left:
                    raise

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Name an error of the catalog by its type alone: a commit holds bounds of columns, and may be quoted."""
        try:
            yield
        except Exception as error:
            error_type = type(error)
            if not error_type.__module__.startswith("pyiceberg."):
                raise
            raise WarehouseRefused(
                f"table {self.name}: the catalog refused: {error_type.__name__}."
            ) from None

    def summaries(self) -> list[dict[str, str]]:
        with self._refusing():
            return self._summaries()

    def _summaries(self) -> list[dict[str, str]]:
        try:
            metadata = self.catalog.load_table(self.name).metadata
        except NoSuchTableError:
            return []
        newest_first = [
            dict(snapshot.summary.additional_properties)
            for snapshot in _current_and_before(metadata)
            if snapshot.summary is not None
        ]
        return newest_first[::-1]


def _current_and_before(metadata: TableMetadata) -> Iterator[Snapshot]:
    """List the snapshots that lead to the present state, the newest first."""
    snapshot_id = metadata.current_snapshot_id
    while snapshot_id is not None:
        snapshot = metadata.snapshot_by_id(snapshot_id)
        if snapshot is None:
            return
        yield snapshot
        snapshot_id = snapshot.parent_snapshot_id


def columns(partition: str) -> list[str]:
    """Name the columns that a partition's path gives values to. Raises TargetError where a folder gives none."""
    folders = [folder for folder in partition.strip("/").split("/") if folder]
    values = values_of(partition)
    all_folders_name = len(values) >= len(folders)
    all_values_exist = all(value.is_valid for value in values.values())
    if not (all_folders_name and all_values_exist):
        raise TargetError(
            f"partition: {partition!r} must be folders such as dt=2026-11-21, to be columns of a table."
        )
    return list(values)


def _replace(
    table: Table,
    transaction: Transaction,
    partition: str,
    urls: set[str],
    summary: dict[str, str],
) -> None:
    """Take the partition's other files out and put the new ones in, in one snapshot; none if nothing changes."""
    scan = table.scan(_where(partition))
    old_files = {task.file.file_path: task.file for task in scan.plan_files()}
    if old_files.keys() == urls:
        return
    metadata = transaction.table_metadata
    _set_name_mapping(transaction, metadata)
    new_urls = sorted(urls - old_files.keys())
    new_files = [parquet_file_to_data_file(table.io, metadata, url) for url in new_urls]
    update = transaction.update_snapshot(snapshot_properties=summary)
    with update.overwrite() as new_snapshot:
        for url in old_files.keys() - urls:
            new_snapshot.delete_data_file(old_files[url])
        for new_file in new_files:
            new_snapshot.append_data_file(new_file)


def _set_name_mapping(transaction: Transaction, metadata: TableMetadata) -> None:
    """Map names to field ids, since files have no field ids; columns that are added later join it by themselves."""
    if metadata.name_mapping() is not None:
        return
    name_mapping = metadata.schema().name_mapping.model_dump_json()
    transaction.set_properties({TableProperties.DEFAULT_NAME_MAPPING: name_mapping})


def _where(partition: str) -> BooleanExpression:
    in_partition: BooleanExpression = AlwaysTrue()
    for name, value in values_of(partition).items():
        has_value: BooleanExpression = EqualTo(name, str(value))  # type: ignore[call-arg,arg-type]
        in_partition = And(in_partition, has_value)
    return in_partition


def _nullable(schema: pa.Schema) -> pa.Schema:
    """Make every column nullable, so that what a source requires tonight does not bind another night."""
    return pa.schema([field.with_nullable(True).remove_metadata() for field in schema])
