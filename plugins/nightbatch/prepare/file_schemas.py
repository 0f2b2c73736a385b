"""The schemas of a partition's files: they may differ in how a column is stored, not in what it means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from nightbatch.errors import InputError


class FileSchema(NamedTuple):
    """The schema of a file, with the file's key."""

    key: str
    schema: pa.Schema

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        names: list[str] = self.schema.names
        return names

    def field(self, name: str) -> pa.Field:
        """Return the field of a column."""
        return self.schema.field(name)


def unify(first: FileSchema, other: FileSchema, columns: Sequence[str]) -> pa.Schema:
    """Merge the schemas of two files in these columns, or name the file and column that differ."""
    merged_fields = [_merged_field(name, first, other) for name in columns]
    nullable_fields = [field.with_nullable(True) for field in merged_fields]
    plain_fields = [field.remove_metadata() for field in nullable_fields]
    return pa.schema(plain_fields)


def _merged_field(name: str, first: FileSchema, other: FileSchema) -> pa.Field:
    first_field = first.field(name)
    other_field = other.field(name)
    first_type = first_field.type
    other_type = other_field.type
    if pa.types.is_null(first_type):
        return other_field
    is_other_null = pa.types.is_null(other_type)
    if is_other_null or first_type == other_type:
        return first_field
    first_meaning = _logical(first_type)
    other_meaning = _logical(other_type)
    if first_meaning == other_meaning:
        return first_field.with_type(first_meaning)
    raise InputError(
        f"column {name!r} is {first_type} in {first.key} but {other_type} in {other.key}: "
        "write both with the same type."
    )


def _logical(kind: pa.DataType) -> pa.DataType:
    """Return what a type means, without dictionary encoding or 64-bit offsets."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    return kind
