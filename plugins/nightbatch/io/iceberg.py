"""A table in an Iceberg catalog: a partition is replaced by one commit, and no file that was written is written anew.

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

from nightbatch.errors import TargetError, WarehouseRefused
from nightbatch.messages.safe_words import printable
from nightbatch.ports import Store
from nightbatch.spec.locations import values_of

TRIES = 5


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
        self.catalog, self.name, self.opener, self.location = (
            catalog,
            name,
            opener,
            location,
        )

    def place(self) -> str | None:
        """Return the URL of the table's folder; None: the table is not there, and nothing says where it will be."""
        with self._refusing():
            if self.catalog.table_exists(self.name):
                return self.catalog.load_table(self.name).location()
        return self.location

    def open(self, schema: pa.Schema, partition: str) -> Store:
        by = columns(partition)
        with self._refusing():
            return self._open_table(schema, by)

    def _open_table(self, schema: pa.Schema, by: Iterable[str]) -> Store:
        if not self.catalog.table_exists(self.name):
            self.catalog.create_namespace_if_not_exists(self.name.rpartition(".")[0])
            self._create(schema, by)
        return self.opener(
            self.catalog.load_table(self.name).location().rstrip("/") + "/data/"
        )

    def _create(self, schema: pa.Schema, by: Iterable[str]) -> None:
        """Create the table together with its partitioning; harmless where another run does so at the same time."""
        try:
            creation = self.catalog.create_table_transaction(
                self.name, _open(schema), self.location
            )
            with creation, creation.update_spec() as spec:
                for column in by:
                    spec.add_identity(column)
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
        for left in reversed(range(TRIES)):
            table = self.catalog.load_table(self.name)
            try:
                with table.transaction() as transaction:
                    with transaction.update_schema() as update:
                        update.union_by_name(_open(schema))
                    _replace(table, transaction, partition, urls, summary)
                return
            except ValidationError as error:
                raise TargetError(
                    f"table {self.name}: {printable(str(error))}. Nothing was published."
                ) from None
            except (CommitFailedException, ValidationException):
                if not left:
                    raise

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Name an error of the catalog by its type alone: a commit holds bounds of columns, and may be quoted."""
        try:
            yield
        except Exception as error:
            if not type(error).__module__.startswith("pyiceberg."):
                raise
            raise WarehouseRefused(
                f"table {self.name}: the catalog refused: {type(error).__name__}."
            ) from None

    def summaries(self) -> list[dict[str, str]]:
        with self._refusing():
            return self._summaries()

    def _summaries(self) -> list[dict[str, str]]:
        try:
            metadata = self.catalog.load_table(self.name).metadata
        except NoSuchTableError:
            return []
        found, at = list[dict[str, str]](), metadata.current_snapshot_id
        while at is not None and (snapshot := metadata.snapshot_by_id(at)) is not None:
            if snapshot.summary is not None:
                found.append(dict(snapshot.summary.additional_properties))
            at = snapshot.parent_snapshot_id
        return found[::-1]


def columns(partition: str) -> list[str]:
    """Name the columns that a partition's path gives values to. Raises TargetError where a folder gives none."""
    folders = [folder for folder in partition.strip("/").split("/") if folder]
    values = values_of(partition)
    if len(values) < len(folders) or not all(
        value.is_valid for value in values.values()
    ):
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
    old = {
        task.file.file_path: task.file
        for task in table.scan(_where(partition)).plan_files()
    }
    if old.keys() == urls:
        return
    metadata = transaction.table_metadata
    if (
        metadata.name_mapping() is None
    ):  # the files carry names, no field ids; later columns join it by themselves
        names = metadata.schema().name_mapping.model_dump_json()
        transaction.set_properties({TableProperties.DEFAULT_NAME_MAPPING: names})
    new = [
        parquet_file_to_data_file(table.io, metadata, url)
        for url in sorted(urls - old.keys())
    ]
    with transaction.update_snapshot(
        snapshot_properties=summary
    ).overwrite() as snapshot:
        for url in old.keys() - urls:
            snapshot.delete_data_file(old[url])
        for file in new:
            snapshot.append_data_file(file)


def _where(partition: str) -> BooleanExpression:
    found: BooleanExpression = AlwaysTrue()
    for name, value in values_of(partition).items():
        same: BooleanExpression = EqualTo(name, str(value))  # type: ignore[call-arg,arg-type]
        found = And(found, same)
    return found


def _open(schema: pa.Schema) -> pa.Schema:
    """Let every column be empty, so that what a source requires tonight binds no other night."""
    return pa.schema([field.with_nullable(True).remove_metadata() for field in schema])
