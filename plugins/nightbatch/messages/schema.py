"""JSON schemas: from what an author may write to what the API accepts.

Constraints that structured output does not know (bounds, lengths, patterns) move into the description, where the
model reads them, and are checked on the way back against the author's own schema. What cannot be moved is refused.
Source of the limits: "Structured outputs" in Anthropic's documentation, as of November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nightbatch.errors import AnswerTypeError

Schema = Mapping[str, Any]
Definitions = Mapping[str, Any]
"""Schemas by the names that a `$ref` may give."""
CleanedSchema = dict[str, Any]
"""A schema, or a part of one, as it goes on the wire."""
MAX_OPTIONAL = 24
MAX_UNIONS = 16
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
_KNOWN_MINIMUMS = (0, 1)
"""The values of `minItems` that structured output knows."""
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
    definitions: Definitions = field(default_factory=dict)


def api_schema(schema: Schema) -> CleanedSchema:
    """Return the schema that goes on the wire, or say which part of it the API would refuse."""
    count = _Count(definitions=definitions_of(schema))
    root = resolve(schema, count.definitions)
    is_object = isinstance(root, Mapping) and root.get("type") == "object"
    if not is_object or not root.get("properties"):
        raise AnswerTypeError(
            "answer_schema: the root must be an object with at least one property."
        )
    cleaned = _clean(root, "answer_schema", count)
    if count.definitions:
        cleaned["$defs"] = {
            name: _clean(definition, f"answer_schema.$defs.{name}", count)
            for name, definition in count.definitions.items()
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


def definitions_of(schema: Schema) -> Definitions:
    """Return what a schema's `$ref`s may name."""
    return {**(schema.get("definitions") or {}), **(schema.get("$defs") or {})}


def resolve(schema: Any, definitions: Definitions) -> Any:
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


def _clean(schema: Any, path: str, count: _Count) -> CleanedSchema:
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
        keyword: schema[keyword]
        for keyword in ("enum", "const", "title", "description")
        if keyword in schema
    }
    _clean_type(schema, cleaned, path, count)
    _move_rules(schema, cleaned)
    return cleaned


def _move_rules(schema: Schema, cleaned: CleanedSchema) -> None:
    """Put into the description the rules that structured output does not know."""
    moved_rules = [
        f"{keyword}: {value}"
        for keyword, value in schema.items()
        if _moves(keyword, value)
    ]
    if not moved_rules:
        return
    rules_text = "{" + ", ".join(moved_rules) + "}"
    description = cleaned.get("description")
    cleaned["description"] = "\n\n".join(filter(None, [description, rules_text]))


def _clean_type(
    schema: Schema, cleaned: CleanedSchema, path: str, count: _Count
) -> None:
    type_name = schema.get("type")
    variants = alternatives(schema)
    parts = schema.get("allOf")
    if isinstance(type_name, list):
        variants = _by_type(schema, type_name)
        cleaned.pop("enum", None)
    if variants:
        count.unions += 1
        variants_path = f"{path}.anyOf"
        cleaned["anyOf"] = _clean_each(variants, variants_path, count)
    elif parts:
        parts_path = f"{path}.allOf"
        cleaned["allOf"] = _clean_each(parts, parts_path, count)
    elif type_name is not None:
        cleaned["type"] = type_name
        _clean_kind(schema, cleaned, path, count)
    elif not _lists_values(schema):
        raise AnswerTypeError(f"{path}: needs a type, anyOf, enum or const.")


def alternatives(schema: Schema) -> Any:
    """Return the schemas of which a value keeps one; None where a schema names none."""
    return schema.get("anyOf") or schema.get("oneOf")


def _lists_values(schema: Schema) -> bool:
    """Tell whether a schema names the values that it allows."""
    return "enum" in schema or "const" in schema


def _by_type(schema: Schema, types: Sequence[Any]) -> list[CleanedSchema]:
    """Return a schema for each of several types, with the rules of them all."""
    rules = {
        keyword: value
        for keyword, value in schema.items()
        if keyword not in {"type", "title", "description"}
    }
    return [
        {"type": "null"} if type_name == "null" else {**rules, "type": type_name}
        for type_name in types
    ]


def _clean_each(
    schemas: Sequence[Any], path: str, count: _Count
) -> list[CleanedSchema]:
    return [
        _clean(schema, f"{path}[{number}]", count)
        for number, schema in enumerate(schemas)
    ]


def _clean_kind(
    schema: Schema, cleaned: CleanedSchema, path: str, count: _Count
) -> None:
    type_name = schema["type"]
    if type_name == "object":
        _clean_object(schema, cleaned, path, count)
    elif type_name == "array":
        _clean_array(schema, cleaned, path, count)
    elif type_name == "string":
        text_format = schema.get("format")
        if text_format in FORMATS:
            cleaned["format"] = text_format


def _clean_object(
    schema: Schema, cleaned: CleanedSchema, path: str, count: _Count
) -> None:
    properties = schema.get("properties") or {}
    required_names = list(schema.get("required") or ())
    if schema.get("additionalProperties") not in (None, False):
        raise AnswerTypeError(
            f"{path}: additionalProperties must be false: name every property."
        )
    unknown_names = sorted(set(required_names) - properties.keys())
    if unknown_names:
        name_list = ", ".join(unknown_names)
        raise AnswerTypeError(
            f"{path}: required names {name_list}, which is not among its properties."
        )
    cleaned["properties"] = {
        name: _clean(part, f"{path}.{name}", count) for name, part in properties.items()
    }
    cleaned["required"] = required_names
    cleaned["additionalProperties"] = False
    optional_count = len(properties) - len(required_names)
    count.optional += optional_count


def _clean_array(
    schema: Schema, cleaned: CleanedSchema, path: str, count: _Count
) -> None:
    if "items" not in schema:
        raise AnswerTypeError(f"{path}: an array needs items.")
    items_path = f"{path}[]"
    cleaned["items"] = _clean(schema["items"], items_path, count)
    fewest_items = schema.get("minItems")
    if fewest_items in _KNOWN_MINIMUMS:
        cleaned["minItems"] = fewest_items


def _moves(keyword: str, value: Any) -> bool:
    """Tell whether structured output does not know a rule, or not with this value."""
    if keyword == "format":
        return value not in FORMATS
    if keyword == "minItems":
        return value not in _KNOWN_MINIMUMS
    return keyword in _MOVED
