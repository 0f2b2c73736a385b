"""Schemas that are made of others: by `$ref`, by `allOf`."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


def resolved(ref: str, root: Schema) -> Any:
    """Return what a ref leads to, from the root; an empty schema where it leads nowhere."""
    definition: Any = root
    path = ref.removeprefix("#").strip("/")
    for key in filter(None, path.split("/")):
        if not isinstance(definition, dict):
            return {}
        definition = definition.get(key, {})
    return definition


def merged(schemas: list[Any], root: Schema) -> Schema:
    """Return the schemas of an `allOf` as one."""
    merged_schema: Schema = {}
    for schema in schemas:
        part_schema = schema
        if "$ref" in schema:
            part_schema = resolved(schema["$ref"], root)
        merged_schema = _merged_pair(merged_schema, part_schema)
    return merged_schema


def _merged_pair(first: Schema, second: Schema) -> Schema:
    """Return both schemas as one: properties and required names are united, other keys are the second's."""
    merged_schema = {**first, **second}
    first_properties = first.get("properties", {})
    second_properties = second.get("properties", {})
    properties = {**first_properties, **second_properties}
    if properties:
        first_required = first.get("required", [])
        second_required = second.get("required", [])
        merged_schema["properties"] = properties
        merged_schema["required"] = [*first_required, *second_required]
    return merged_schema


def is_null(schema: Any) -> bool:
    """Tell whether a schema allows nothing but null."""
    if not isinstance(schema, dict):
        return False
    return schema.get("type") == "null" or schema.get("const", 0) is None
