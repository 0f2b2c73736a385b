"""Convert Arrow's column types to those of Iceberg, which are fewer.

Values do not change, except for times finer than a microsecond, which are cut.
"""

from __future__ import annotations

import pyarrow as pa

from nightbatch.columnar.constants import with_constants
from nightbatch.errors import TargetError
from nightbatch.spec.hive_columns import values_of

_TABLE_TYPES = {
    pa.int8(): pa.int32(),
    pa.int16(): pa.int32(),
    pa.uint8(): pa.int32(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
    pa.date64(): pa.date32(),
    pa.null(): pa.string(),
    pa.string_view(): pa.string(),
    pa.binary_view(): pa.binary(),
}


def fitting(schema: pa.Schema) -> pa.Schema:
    """Return the columns as a table holds them; one without a type is omitted until it has one.

    Raises TargetError if Iceberg has no type for a column.
    """
    typed_fields = [field for field in schema if not pa.types.is_null(field.type)]
    return pa.schema([_fitting_field(field, field.name) for field in typed_fields])


def _fitting_field(field: pa.Field, column_name: str) -> pa.Field:
    table_type = _fitting(field.type, column_name)
    return field.with_type(table_type)


def _fitting(kind: pa.DataType, name: str) -> pa.DataType:
    """Return Iceberg's type for a type. `name`: the column, for the error."""
    if kind in _TABLE_TYPES:
        return _TABLE_TYPES[kind]
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if pa.types.is_time(kind):
        return pa.time64("us")
    if pa.types.is_dictionary(kind):
        return _fitting(kind.value_type, name)
    if pa.types.is_nested(kind):
        return _nested(kind, name)
    if _is_unsupported(kind):
        raise TargetError(
            f"column {name!r} is {kind}, which an Iceberg table has no type for; leave it out of `keep`."
        )
    return kind


def _is_unsupported(kind: pa.DataType) -> bool:
    is_span = pa.types.is_duration(kind) or pa.types.is_interval(kind)
    return bool(is_span or pa.types.is_decimal256(kind))


def _nested(kind: pa.DataType, name: str) -> pa.DataType:
    if pa.types.is_struct(kind):
        struct_fields = [_fitting_field(field, name) for field in kind]
        return pa.struct(struct_fields)
    if pa.types.is_map(kind):
        key_type = _fitting(kind.key_type, name)
        value_type = _fitting(kind.item_type, name)
        return pa.map_(key_type, value_type)
    element_field = _fitting_field(kind.value_field, name)
    return pa.list_(element_field)


def with_path(schema: pa.Schema, partition: str) -> pa.Schema:
    """Add the columns of a partition's path that a schema does not have."""
    fields = list(schema)
    for name, value in values_of(partition).items():
        if name not in schema.names:
            path_field = pa.field(name, value.type)
            fields.append(path_field)
    return pa.schema(fields)


def filled(rows: pa.RecordBatch, schema: pa.Schema, partition: str) -> pa.RecordBatch:
    """Give rows the columns of a schema: their own, in its types, and those of a partition's path."""
    columns = with_constants(rows, schema.names, values_of(partition))
    table_columns = [
        column.cast(field.type, safe=False)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(table_columns, schema=schema)
