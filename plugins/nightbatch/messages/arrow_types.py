"""From a JSON schema to the Arrow type of its values, and what gives a decoded value that type's shape.

A part of the schema that has no one Arrow type (a union of a string and an object, say) becomes a string column that
holds JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pyarrow as pa

from nightbatch.messages.schema import resolve

Shape = Callable[[Any], Any] | None
_SCALARS = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}


def arrow_type(
    schema: Any, definitions: Mapping[str, Any]
) -> tuple[pa.DataType, Shape]:
    """Find the Arrow type of a schema, and what shapes a value for it (None: nothing to do)."""
    schema = resolve(schema, definitions)
    for part in schema.get("allOf") or ():
        schema = {
            **resolve(part, definitions),
            **{k: v for k, v in schema.items() if k != "allOf"},
        }
    variants = schema.get("anyOf") or schema.get("oneOf")
    if variants is None and isinstance(schema.get("type"), list):
        variants = [{**schema, "type": kind} for kind in schema["type"]]
    if variants is not None:
        return _union([resolve(v, definitions) for v in variants], definitions)
    literals = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if literals is not None:
        return _literal(literals)
    kind = schema.get("type")
    if kind == "object" and schema.get("properties"):
        return _struct(schema["properties"], definitions)
    if kind == "array":
        item, shape = arrow_type(schema["items"], definitions)
        return pa.list_(item), shape and (
            lambda values: [None if v is None else shape(v) for v in values]
        )
    if kind == "string":
        return _formats().get(schema.get("format"), (pa.string(), None))
    return (_SCALARS[kind], None) if kind in _SCALARS else (pa.string(), _as_json)


def _struct(
    properties: Mapping[str, Any], definitions: Mapping[str, Any]
) -> tuple[pa.DataType, Shape]:
    typed = {name: arrow_type(part, definitions) for name, part in properties.items()}
    shapes = {name: shape for name, (_, shape) in typed.items() if shape is not None}

    def shape_fields(value: Any) -> Any:
        changed = {
            n: shape(value[n])
            for n, shape in shapes.items()
            if value.get(n) is not None
        }
        return {**value, **changed}

    kind = pa.struct([pa.field(name, t) for name, (t, _) in typed.items()])
    return kind, (lambda v: v if v is None else shape_fields(v)) if shapes else None


def _union(
    variants: Sequence[Mapping[str, Any]], definitions: Mapping[str, Any]
) -> tuple[pa.DataType, Shape]:
    present = [
        v for v in variants if v.get("type") != "null" and v.get("const", 0) is not None
    ]
    typed = [arrow_type(variant, definitions) for variant in present]
    kinds = {kind for kind, _ in typed}
    if len(kinds) == 1:
        return typed[0]
    if kinds == {pa.int64(), pa.float64()}:
        return pa.float64(), None
    return pa.string(), _as_json


def _literal(values: Sequence[Any]) -> tuple[pa.DataType, Shape]:
    types = {type(value) for value in values if value is not None}
    for candidates, kind in (
        ({str}, pa.string()),
        ({bool}, pa.bool_()),
        ({int}, pa.int64()),
        ({int, float}, pa.float64()),
    ):
        if types and types <= candidates:
            return kind, None
    return pa.string(), _as_json


def _formats() -> dict[Any, tuple[pa.DataType, Shape]]:
    return {
        "date": (pa.date32(), lambda text: text and date.fromisoformat(text)),
        "date-time": (
            pa.timestamp("us", "UTC"),
            lambda text: text and datetime.fromisoformat(text).astimezone(UTC),
        ),
    }


def _as_json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
