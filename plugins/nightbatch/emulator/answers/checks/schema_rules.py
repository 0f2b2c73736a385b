"""Which JSON schemas structured output accepts. The API reports others only at the end of a batch, one error a row."""

from collections.abc import Iterator, Mapping
from typing import Any

from nightbatch.emulator.errors import ApiError, invalid

Schema = Mapping[str, Any]
RefsByDefinition = dict[str, set[str]]
"""The refs in each definition of a schema, by the ref of the definition itself."""

PLACE = "output_config.format.schema"
_EVERYWHERE = {
    "type",
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
_NAMED = ("properties", "$defs", "definitions")
_COMBINED = ("anyOf", "oneOf", "allOf")
_UNTYPED = frozenset({"enum", "const", *_COMBINED})
_LOOKAROUNDS = ("(?=", "(?!", "(?<=", "(?<!")
MOST_OPTIONAL = 24
MOST_UNIONS = 16


def check_schema(schema: Schema) -> None:
    """Raise the 400 that the API would put into every row's result; return None for a schema that it accepts."""
    nodes = list(_nodes(schema))
    for node in nodes:
        _check_node(node, schema)
    _check_recursion(schema)
    optional_count = sum(map(_optional_count, nodes))
    if optional_count > MOST_OPTIONAL:
        raise _rejection(
            f"Schemas contains too many optional parameters ({optional_count}); the limit is {MOST_OPTIONAL}"
        )
    union_count = sum(map(_is_union, nodes))
    if union_count > MOST_UNIONS:
        raise _rejection(
            f"Schemas contains too many parameters with union types ({union_count}); the limit is {MOST_UNIONS}"
        )


def _optional_count(node: Schema) -> int:
    optional_names = set(node.get("properties", {})) - set(node.get("required", []))
    return len(optional_names)


def _is_union(node: Schema) -> bool:
    return "anyOf" in node or isinstance(node.get("type"), list)


def _check_node(node: Schema, root: Schema) -> None:
    if "$ref" in node:
        _check_ref(node["$ref"], root)
        return
    if "oneOf" in node:
        raise _rejection("Schema type 'oneOf' is not supported")
    kinds = _kinds(node)
    if kinds:
        _check_keys(node, kinds)
    elif _UNTYPED.isdisjoint(node):
        raise _rejection(
            "Schema must have a 'type', 'anyOf', 'allOf', 'enum', 'const' or '$ref' field"
        )
    _check_values(node, kinds)


def _check_keys(node: Schema, kinds: list[str]) -> None:
    allowed_keys = _EVERYWHERE | _UNTYPED
    for kind in kinds:
        if kind not in _TAKEN:
            raise _rejection(f"Unknown schema type '{kind}'")
        allowed_keys |= _TAKEN[kind]
    extra_keys = node.keys() - allowed_keys
    if extra_keys:
        first_kind = kinds[0]
        properties_are = _properties(sorted(extra_keys))
        raise _rejection(f"For '{first_kind}' type, {properties_are} not supported")


def _check_values(node: Schema, kinds: list[str]) -> None:
    if "object" in kinds and node.get("additionalProperties") is not False:
        raise _rejection(
            "For 'object' type, 'additionalProperties' must be explicitly set to false"
        )
    if node.get("minItems", 0) not in {0, 1}:
        raise _rejection(
            "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
        )
    text_format = node.get("format")
    if text_format is not None and text_format not in _FORMATS:
        raise _rejection(
            f"For 'string' type, 'format' value '{text_format}' is not supported"
        )
    pattern = str(node.get("pattern", ""))
    if any(lookaround in pattern for lookaround in _LOOKAROUNDS):
        raise _rejection(
            "For 'string' type, 'pattern' with lookaround is not supported"
        )
    if any(isinstance(value, (dict, list)) for value in node.get("enum", [])):
        raise _rejection("Enum values must be strings, numbers, booleans or null")


def _check_ref(ref: object, root: Schema) -> None:
    is_internal = isinstance(ref, str) and ref.startswith("#")
    if not is_internal:
        raise _rejection(f"External $ref '{ref}' is not supported")
    definition = _definition(str(ref), root)
    if not isinstance(definition, Mapping):
        raise _rejection(f"$ref '{ref}' cannot be resolved")


def _definition(ref: str, root: Schema) -> Any:
    """Return what a ref of the schema itself leads to."""
    definition: Any = root
    path = ref.removeprefix("#").strip("/")
    for key in path.split("/"):
        if key and isinstance(definition, Mapping):
            definition = definition.get(key)
    return definition


def _check_recursion(root: Schema) -> None:
    """Raise when a definition leads back to itself."""
    refs_by_definition = _refs_by_definition(root)
    for definition in refs_by_definition:
        if definition in _reachable(definition, refs_by_definition):
            raise _rejection(
                f"Circular reference detected in schema definitions: {definition}"
            )


def _refs_by_definition(root: Schema) -> RefsByDefinition:
    """Return which refs each definition contains; the root counts only if it refers to itself."""
    refs_by_definition: RefsByDefinition = {}
    for section in ("$defs", "definitions"):
        definitions = root.get(section, {})
        for name, body in definitions.items():
            refs_by_definition[f"#/{section}/{name}"] = _refs(body)
    refs_by_definition["#"] = _refs(root) & {"#"}
    return refs_by_definition


def _refs(schema: Any) -> set[str]:
    return {str(node["$ref"]) for node in _nodes(schema) if "$ref" in node}


def _reachable(start: str, refs_by_definition: RefsByDefinition) -> set[str]:
    """Return every definition that `start` refers to, directly or through others."""
    reached_refs: set[str] = set()
    new_refs = list(refs_by_definition[start])
    while new_refs:
        ref = new_refs.pop()
        if ref in reached_refs:
            continue
        reached_refs.add(ref)
        next_refs = refs_by_definition.get(ref, set())
        new_refs.extend(next_refs)
    return reached_refs


def _nodes(schema: Any) -> Iterator[Schema]:
    """Yield a schema and every schema inside it; anything but an object is an error."""
    if not isinstance(schema, Mapping):
        raise _rejection("Schema must be a JSON object")
    yield schema
    for group in _NAMED:
        for inner_schema in schema.get(group, {}).values():
            yield from _nodes(inner_schema)
    for group in _COMBINED:
        for inner_schema in schema.get(group, []):
            yield from _nodes(inner_schema)
    if "items" in schema:
        yield from _nodes(schema["items"])


def _kinds(node: Schema) -> list[str]:
    schema_type = node.get("type")
    if schema_type is None:
        return []
    if isinstance(schema_type, list):
        return [str(kind) for kind in schema_type]
    return [str(schema_type)]


def _properties(names: list[str]) -> str:
    if len(names) == 1:
        return f"property '{names[0]}' is"
    return f"properties {', '.join(names)} are"


def _rejection(reason: str) -> ApiError:
    return invalid(f"{PLACE}: {reason}")
