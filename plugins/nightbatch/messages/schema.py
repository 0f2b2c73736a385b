"""JSON schemas: from what an author may write to what the API accepts.

Constraints that structured output does not know (bounds, lengths, patterns) move into the description, where the
model reads them, and are checked on the way back against the author's own schema. What cannot be moved is refused.
Source of the limits: "Structured outputs" in Anthropic's documentation, as of November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nightbatch.errors import AnswerTypeError

MAX_OPTIONAL, MAX_UNIONS = 24, 16
TYPES = {"object", "array", "string", "integer", "number", "boolean", "null"}
FORMATS = {
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "uri",
    "ipv4",
    "ipv6",
    "uuid",
}
_KEPT = {
    "type",
    "enum",
    "const",
    "description",
    "title",
    "anyOf",
    "allOf",
    "$ref",
    "$defs",
    "properties",
    "required",
}
_MOVED = {
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
}
_DROPPED = {
    "default",
    "examples",
    "example",
    "$schema",
    "$id",
    "$comment",
    "deprecated",
    "readOnly",
    "writeOnly",
}
_KNOWN = (
    _KEPT
    | _MOVED
    | _DROPPED
    | {"items", "minItems", "format", "additionalProperties", "oneOf", "definitions"}
)


@dataclass
class _Count:
    optional: int = 0
    unions: int = 0
    seen: tuple[str, ...] = ()
    definitions: Mapping[str, Any] = field(default_factory=dict)


def api_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema that goes on the wire, or say which part of it the API would refuse."""
    count = _Count(definitions=definitions_of(schema))
    root = resolve(schema, count.definitions)
    if (
        not isinstance(root, Mapping)
        or root.get("type") != "object"
        or not root.get("properties")
    ):
        raise AnswerTypeError(
            "answer_schema: the root must be an object with at least one property."
        )
    cleaned = _clean(root, "answer_schema", count)
    if count.definitions:
        cleaned["$defs"] = {
            name: _clean(s, f"answer_schema.$defs.{name}", count)
            for name, s in count.definitions.items()
        }
    if count.optional > MAX_OPTIONAL:
        raise AnswerTypeError(
            f"answer_schema: {count.optional} optional properties; the API takes {MAX_OPTIONAL}."
        )
    if count.unions > MAX_UNIONS:
        raise AnswerTypeError(
            f"answer_schema: {count.unions} properties with union types; the API takes {MAX_UNIONS}."
        )
    return cleaned


def definitions_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a schema's `$ref`s may name."""
    return {**(schema.get("definitions") or {}), **(schema.get("$defs") or {})}


def resolve(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Follow a chain of local `$ref`s to the schema it names."""
    for _ in range(64):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            return schema
        reference = str(schema["$ref"])
        name = reference.removeprefix("#/$defs/").removeprefix("#/definitions/")
        if name == reference or name not in definitions:
            raise AnswerTypeError(
                f"answer_schema: $ref {reference!r} does not name a definition under $defs."
            )
        schema = definitions[name]
    raise AnswerTypeError(
        "answer_schema: a $ref refers to itself; the API takes no recursive schemas."
    )


def _clean(schema: Any, path: str, count: _Count) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise AnswerTypeError(
            f"{path}: must be an object, not {type(schema).__name__}."
        )
    if unknown := sorted(schema.keys() - _KNOWN):
        raise AnswerTypeError(
            f"{path}: {', '.join(unknown)} is not supported in structured output: remove it."
        )
    if "$ref" in schema:
        return {"$ref": str(schema["$ref"]).replace("#/definitions/", "#/$defs/")}
    cleaned = {
        key: schema[key]
        for key in ("enum", "const", "title", "description")
        if key in schema
    }
    _clean_type(schema, cleaned, path, count)
    moved = {
        key: schema[key] for key in schema if key in _MOVED or _moves(key, schema[key])
    }
    if moved:
        told = "{" + ", ".join(f"{key}: {value}" for key, value in moved.items()) + "}"
        cleaned["description"] = "\n\n".join(
            filter(None, [cleaned.get("description"), told])
        )
    return cleaned


def _clean_type(
    schema: Mapping[str, Any], cleaned: dict[str, Any], path: str, count: _Count
) -> None:
    kind = schema.get("type")
    variants = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(kind, list):
        rest = {
            key: value
            for key, value in schema.items()
            if key not in {"type", "title", "description"}
        }
        variants = [
            {"type": "null"} if k == "null" else {**rest, "type": k} for k in kind
        ]
        cleaned.pop("enum", None)
    if variants:
        count.unions += 1
        cleaned["anyOf"] = [
            _clean(variant, f"{path}.anyOf[{i}]", count)
            for i, variant in enumerate(variants)
        ]
    elif schema.get("allOf"):
        cleaned["allOf"] = [
            _clean(part, f"{path}.allOf[{i}]", count)
            for i, part in enumerate(schema["allOf"])
        ]
    elif kind is None and not ({"enum", "const"} & schema.keys()):
        raise AnswerTypeError(f"{path}: needs a type, anyOf, enum or const.")
    elif kind is not None:
        cleaned["type"] = kind
        _clean_kind(schema, cleaned, path, count)


def _clean_kind(
    schema: Mapping[str, Any], cleaned: dict[str, Any], path: str, count: _Count
) -> None:
    if schema["type"] == "object":
        properties = schema.get("properties") or {}
        if schema.get("additionalProperties") not in (None, False):
            raise AnswerTypeError(
                f"{path}: additionalProperties must be false: name every property."
            )
        if unknown := sorted(set(schema.get("required") or ()) - properties.keys()):
            raise AnswerTypeError(
                f"{path}: required names {', '.join(unknown)}, which is not among its properties."
            )
        cleaned["properties"] = {
            name: _clean(part, f"{path}.{name}", count)
            for name, part in properties.items()
        }
        cleaned["required"] = list(schema.get("required") or ())
        cleaned["additionalProperties"] = False
        count.optional += len(properties) - len(cleaned["required"])
    elif schema["type"] == "array":
        if "items" not in schema:
            raise AnswerTypeError(f"{path}: an array needs items.")
        cleaned["items"] = _clean(schema["items"], f"{path}[]", count)
        if schema.get("minItems") in (0, 1):
            cleaned["minItems"] = schema["minItems"]
    elif schema["type"] == "string" and schema.get("format") in FORMATS:
        cleaned["format"] = schema["format"]


def _moves(key: str, value: Any) -> bool:
    return (key == "format" and value not in FORMATS) or (
        key == "minItems" and value not in (0, 1)
    )
