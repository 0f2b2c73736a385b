"""Which columns an Iceberg table can hold: Arrow's types in those of Iceberg, which are fewer.

Values stay what they are, but for times finer than a microsecond, which are cut.
"""

from __future__ import annotations

import pyarrow as pa

from nightbatch.errors import TargetError
from nightbatch.spec.locations import values_of

_NUMBERS = {
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
    """Return the columns as a table holds them; one without a type is left out until it has one.

    Raises TargetError where there is no such type.
    """
    typed = [field for field in schema if not pa.types.is_null(field.type)]
    return pa.schema(
        [field.with_type(_fitting(field.type, field.name)) for field in typed]
    )


def _fitting(kind: pa.DataType, name: str) -> pa.DataType:
    if kind in _NUMBERS:
        return _NUMBERS[kind]
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if pa.types.is_time(kind):
        return pa.time64("us")
    if pa.types.is_dictionary(kind):
        return _fitting(kind.value_type, name)
    if pa.types.is_nested(kind):
        return _nested(kind, name)
    if (
        pa.types.is_duration(kind)
        or pa.types.is_interval(kind)
        or pa.types.is_decimal256(kind)
    ):
        raise TargetError(
            f"column {name!r} is {kind}, which an Iceberg table has no type for; leave it out of `keep`."
        )
    return kind


def _nested(kind: pa.DataType, name: str) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct(
            [field.with_type(_fitting(field.type, name)) for field in kind]
        )
    if pa.types.is_map(kind):
        return pa.map_(_fitting(kind.key_type, name), _fitting(kind.item_type, name))
    field = kind.value_field
    return pa.list_(field.with_type(_fitting(field.type, name)))


def with_path(schema: pa.Schema, partition: str) -> pa.Schema:
    """Add the columns of a partition's path that a schema does not have."""
    values = values_of(partition)
    return pa.schema(
        [
            *schema,
            *(
                pa.field(name, values[name].type)
                for name in values
                if name not in schema.names
            ),
        ]
    )


def filled(rows: pa.RecordBatch, schema: pa.Schema, partition: str) -> pa.RecordBatch:
    """Give rows the columns of a schema: their own, in its types, and those of a partition's path."""
    values, own = values_of(partition), set(rows.schema.names)
    arrays = [
        rows.column(field.name)
        if field.name in own
        else pa.repeat(values[field.name], rows.num_rows)
        for field in schema
    ]
    cast = [
        array.cast(field.type, safe=False)
        for array, field in zip(arrays, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(cast, schema=schema)
