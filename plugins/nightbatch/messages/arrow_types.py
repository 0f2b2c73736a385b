"""From a JSON schema to the Arrow type of its values, and to a function that gives a decoded value that type's shape.

A part of the schema that has no one Arrow type (a union of a string and an object, say) becomes a string column that
holds JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
import pyarrow as pa

from nightbatch.columnar.times import read_date_time, read_time
from nightbatch.messages.schema import Definitions, Schema, alternatives, resolve

Shape = Callable[[Any], Any] | None
TypeAndShape = tuple[pa.DataType, Shape]
_SCALARS = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}
_NUMBERS = {pa.int64(), pa.float64()}
_LITERAL_TYPES = (
    ({str}, pa.string()),
    ({bool}, pa.bool_()),
    ({int}, pa.int64()),
    ({int, float}, pa.float64()),
)
"""The Arrow type of values that all have one of these Python types."""


def arrow_type(schema: Any, definitions: Definitions) -> TypeAndShape:
    """Find the Arrow type of a schema, and what shapes a value for it (None: nothing to do)."""
    resolved_schema = resolve(schema, definitions)
    schema = _merged_all_of(resolved_schema, definitions)
    variants = _variants(schema)
    if variants is not None:
        return _union(variants, definitions)
    literals = _literals(schema)
    if literals is not None:
        return _literal(literals)
    type_name = schema.get("type")
    properties = schema.get("properties")
    if type_name == "object" and properties:
        return _struct(properties, definitions)
    if type_name == "array":
        item_schema = schema["items"]
        return _list(item_schema, definitions)
    if type_name == "string":
        return _text(schema.get("format"))
    if type_name in _SCALARS:
        return _SCALARS[type_name], None
    return pa.string(), _as_json


def _merged_all_of(schema: Any, definitions: Definitions) -> Any:
    """Return a schema with the rules of its `allOf` among its own."""
    parts = schema.get("allOf") or ()
    for part in parts:
        own_rules = dict(schema)
        own_rules.pop("allOf", None)
        part_rules = resolve(part, definitions)
        schema = {**part_rules, **own_rules}
    return schema


def _variants(schema: Schema) -> Any:
    """Return the schemas of which a value keeps one; None where there is only this one."""
    variants = alternatives(schema)
    if variants is None and isinstance(schema.get("type"), list):
        return [{**schema, "type": type_name} for type_name in schema["type"]]
    return variants


def _literals(schema: Schema) -> Any:
    """Return the only values that a schema allows; None where it does not list them."""
    if schema.get("enum") is not None:
        return schema["enum"]
    return [schema["const"]] if "const" in schema else None


def _list(item_schema: Any, definitions: Definitions) -> TypeAndShape:
    item_type, shape_item = arrow_type(item_schema, definitions)
    if shape_item is None:
        return pa.list_(item_type), None

    def shape_items(values: Any) -> Any:
        return [None if value is None else shape_item(value) for value in values]

    return pa.list_(item_type), shape_items


def _struct(properties: Mapping[str, Any], definitions: Definitions) -> TypeAndShape:
    fields = list[pa.Field]()
    field_shapes = dict[str, Callable[[Any], Any]]()
    for name, schema in properties.items():
        field_type, shape = arrow_type(schema, definitions)
        fields.append(pa.field(name, field_type))
        if shape is not None:
            field_shapes[name] = shape

    def shape_fields(value: Any) -> Any:
        if value is None:
            return None
        shaped_fields = {
            name: shape(value[name])
            for name, shape in field_shapes.items()
            if value.get(name) is not None
        }
        return {**value, **shaped_fields}

    return pa.struct(fields), shape_fields if field_shapes else None


def _union(variants: Sequence[Any], definitions: Definitions) -> TypeAndShape:
    resolved_variants = [resolve(variant, definitions) for variant in variants]
    types_and_shapes = [
        arrow_type(variant, definitions)
        for variant in resolved_variants
        if not _is_null(variant)
    ]
    arrow_types = {kind for kind, _ in types_and_shapes}
    if len(arrow_types) == 1:
        return types_and_shapes[0]
    if arrow_types == _NUMBERS:
        return pa.float64(), None
    return pa.string(), _as_json


def _is_null(schema: Schema) -> bool:
    """Tell whether null is the only value of a schema."""
    is_null_constant = "const" in schema and schema["const"] is None
    return schema.get("type") == "null" or is_null_constant


def _literal(values: Sequence[Any]) -> TypeAndShape:
    python_types = _python_types(values)
    if not python_types:
        return pa.string(), _as_json
    for candidates, kind in _LITERAL_TYPES:
        if python_types <= candidates:
            return kind, None
    return pa.string(), _as_json


def _python_types(values: Sequence[Any]) -> set[type]:
    """Return the types of values, without that of null."""
    return {type(value) for value in values if value is not None}


def _text(text_format: Any) -> TypeAndShape:
    if text_format == "date":
        return pa.date32(), _as_date
    if text_format == "date-time":
        return pa.timestamp("us", "UTC"), read_date_time
    if text_format == "time":
        return pa.time64("us"), read_time
    return pa.string(), None


def _as_date(text: str | None) -> Any:
    return text and date.fromisoformat(text)


def _as_json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
