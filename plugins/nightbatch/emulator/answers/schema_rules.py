"""Which JSON schemas structured output takes. The API says so only at the end of a batch, one error a row."""

from collections.abc import Iterator, Mapping
from typing import Any

from nightbatch.emulator.errors import ApiError, invalid

Schema = Mapping[str, Any]

PLACE = "output_config.format.schema"
_EVERYWHERE = {
    "title",
    "description",
    "default",
    "examples",
    "$defs",
    "definitions",
    "$schema",
    "$id",
    "$comment",
}
_TAKEN = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems"},
    "string": {"format", "pattern"},
    "integer": set[str](),
    "number": set[str](),
    "boolean": set[str](),
    "null": set[str](),
}
_FORMATS = {
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
_COMBINED = ("anyOf", "oneOf", "allOf")
MOST_OPTIONAL, MOST_UNIONS = 24, 16


def check_schema(schema: Schema) -> None:
    """Raise the 400 that the API would put into every row's result; return None for a schema that it takes."""
    nodes = list(_nodes(schema))
    for node in nodes:
        _check_node(node, schema)
    _check_recursion(schema)
    optional = sum(
        len(set(node.get("properties", {})) - set(node.get("required", [])))
        for node in nodes
    )
    if optional > MOST_OPTIONAL:
        raise _no(
            f"Schemas contains too many optional parameters ({optional}); the limit is {MOST_OPTIONAL}"
        )
    unions = sum(
        "anyOf" in node or isinstance(node.get("type"), list) for node in nodes
    )
    if unions > MOST_UNIONS:
        raise _no(
            f"Schemas contains too many parameters with union types ({unions}); the limit is {MOST_UNIONS}"
        )


def _check_node(node: Schema, root: Schema) -> None:
    if "$ref" in node:
        _check_ref(node["$ref"], root)
        return
    if "oneOf" in node:
        raise _no("Schema type 'oneOf' is not supported")
    kinds = _kinds(node)
    if not kinds:
        if not any(key in node for key in ("enum", "const", *_COMBINED)):
            raise _no(
                "Schema must have a 'type', 'anyOf', 'allOf', 'enum', 'const' or '$ref' field"
            )
        _check_values(node, kinds)
        return
    for kind in kinds:
        if kind not in _TAKEN:
            raise _no(f"Unknown schema type '{kind}'")
    allowed = _EVERYWHERE.union(
        {"type", "enum", "const", *_COMBINED}, *(_TAKEN[kind] for kind in kinds)
    )
    if extra := sorted(set(node) - allowed):
        raise _no(f"For '{kinds[0]}' type, {_properties(extra)} not supported")
    _check_values(node, kinds)


def _check_values(node: Schema, kinds: list[str]) -> None:
    if "object" in kinds and node.get("additionalProperties") is not False:
        raise _no(
            "For 'object' type, 'additionalProperties' must be explicitly set to false"
        )
    if node.get("minItems", 0) not in {0, 1}:
        raise _no(
            "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
        )
    if (form := node.get("format")) is not None and form not in _FORMATS:
        raise _no(f"For 'string' type, 'format' value '{form}' is not supported")
    if any(
        token in str(node.get("pattern", ""))
        for token in ("(?=", "(?!", "(?<=", "(?<!")
    ):
        raise _no("For 'string' type, 'pattern' with lookaround is not supported")
    if any(isinstance(value, (dict, list)) for value in node.get("enum", [])):
        raise _no("Enum values must be strings, numbers, booleans or null")


def _check_ref(ref: object, root: Schema) -> None:
    if not isinstance(ref, str) or not ref.startswith("#"):
        raise _no(f"External $ref '{ref}' is not supported")
    found: Any = root
    for step in ref.removeprefix("#").strip("/").split("/"):
        found = found.get(step) if step and isinstance(found, Mapping) else found
    if not isinstance(found, Mapping):
        raise _no(f"$ref '{ref}' cannot be resolved")


def _check_recursion(root: Schema) -> None:
    """Raise when a definition leads back to itself."""
    definitions = {
        f"#/{place}/{name}": {
            str(node["$ref"]) for node in _nodes(body) if "$ref" in node
        }
        for place in ("$defs", "definitions")
        for name, body in root.get(place, {}).items()
    } | {"#": {"#"} if any(node.get("$ref") == "#" for node in _nodes(root)) else set()}
    for name in definitions:
        reached, frontier = set[str](), {name}
        while (
            frontier := {
                ref for place in frontier for ref in definitions.get(place, ())
            }
            - reached
        ):
            reached |= frontier
        if name in reached:
            raise _no(f"Circular reference detected in schema definitions: {name}")


def _nodes(schema: Any) -> Iterator[Schema]:
    """Yield a schema and every schema inside it; what is no object is an error."""
    if not isinstance(schema, Mapping):
        raise _no("Schema must be a JSON object")
    yield schema
    for group in ("properties", "$defs", "definitions"):
        for inner in schema.get(group, {}).values():
            yield from _nodes(inner)
    for group in _COMBINED:
        for inner in schema.get(group, []):
            yield from _nodes(inner)
    if "items" in schema:
        yield from _nodes(schema["items"])


def _kinds(node: Schema) -> list[str]:
    kind = node.get("type")
    return (
        []
        if kind is None
        else [str(name) for name in kind]
        if isinstance(kind, list)
        else [str(kind)]
    )


def _properties(names: list[str]) -> str:
    return (
        f"property '{names[0]}' is"
        if len(names) == 1
        else f"properties {', '.join(names)} are"
    )


def _no(why: str) -> ApiError:
    return invalid(f"{PLACE}: {why}")
