"""A valid, deterministic instance of any JSON schema that depends on a text: the same prompt, the same answer."""

from typing import Any

from nightbatch.emulator.responders.bounds import item_bounds, number_bounds, with_hints
from nightbatch.emulator.responders.combined import Schema, is_null, merged, resolved
from nightbatch.emulator.responders.formats import formatted
from nightbatch.emulator.responders.pattern import matching
from nightbatch.emulator.responders.words import Chance, sentence
from nightbatch.emulator.wire import Json

_MAX_DEPTH = 6  # deeper than this, only what the schema requires
_MOST_CHARACTERS = 200
_NULL = {"type": "null"}


def instance(schema: Schema, text: str, *, seed: int) -> Any:
    """Return an instance of `schema` that follows `text` where it can: an enum's value named in the text is chosen."""
    return _Maker(schema, text, Chance(text, seed)).make(schema, depth=0)


class _Maker:
    def __init__(self, root: Schema, text: str, chance: Chance) -> None:
        self.root = root
        self.text = text
        self.lower = text.lower()
        self.chance = chance

    def make(self, schema: Any, *, depth: int) -> Any:
        if not isinstance(schema, dict):
            return sentence(self.text, self.chance)
        if "$ref" in schema:
            definition = resolved(str(schema["$ref"]), self.root)
            return self.make(definition, depth=depth + 1)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._choose(schema["enum"])
        for union_key in ("anyOf", "oneOf"):
            if schema.get(union_key):
                variant = self._variant(schema[union_key], depth)
                return self.make(variant, depth=depth + 1)
        if schema.get("allOf"):
            merged_schema = merged(schema["allOf"], self.root)
            return self.make(merged_schema, depth=depth + 1)
        return self._of_type(with_hints(schema), depth)

    def _of_type(self, schema: Schema, depth: int) -> Any:
        match self._type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer":
                return self._integer(schema)
            case "number":
                return self._number(schema)
            case "boolean":
                return self.chance.share() < 0.5
            case "null":
                return None
        return self._string(schema)

    def _type(self, schema: Schema) -> Any:
        default_type = "object" if "properties" in schema else "string"
        schema_type = schema.get("type", default_type)
        if not isinstance(schema_type, list):
            return schema_type
        value_types = [name for name in schema_type if name != "null"]
        if not value_types:
            value_types = ["null"]
        return self.chance.pick(value_types)

    def _object(self, schema: Schema, depth: int) -> Json:
        required_names = schema.get("required", [])
        properties = schema.get("properties", {})
        fields: Json = {}
        for name, field_schema in properties.items():
            is_required = name in required_names
            if is_required or self._takes_optional(depth):
                fields[name] = self.make(field_schema, depth=depth + 1)
        return fields

    def _takes_optional(self, depth: int) -> bool:
        return depth < _MAX_DEPTH and self.chance.share() < 0.8

    def _array(self, schema: Schema, depth: int) -> list[Any]:
        min_items, max_items = item_bounds(schema)
        if depth >= _MAX_DEPTH:
            max_items = min_items
        optional_count = max_items - min_items
        item_count = min_items + self.chance.below(optional_count + 1)
        item_schema = schema.get("items", {})
        items = []
        for _ in range(item_count):
            item = self.make(item_schema, depth=depth + 1)
            items.append(item)
        return items

    def _number(self, schema: Schema) -> float:
        low, high = number_bounds(schema, step=0.01)
        distance = self.chance.share() * (high - low)
        return round(low + distance, 2)

    def _integer(self, schema: Schema) -> int:
        """Return a multiple of the schema's step; the first one from its lower bound if none is within."""
        low, high = number_bounds(schema, step=1)
        step = int(schema.get("multipleOf", 1)) or 1
        first_factor = -(-int(low) // step)
        last_factor = int(high) // step
        other_count = max(0, last_factor - first_factor)
        factor = first_factor + self.chance.below(other_count + 1)
        return factor * step

    def _string(self, schema: Schema) -> str:
        text_format = schema.get("format")
        if text_format is not None:
            formatted_text = formatted(str(text_format), self.text, self.chance)
            if formatted_text is not None:
                return formatted_text
        if "pattern" in schema:
            pattern = str(schema["pattern"])
            return matching(pattern, self.chance)
        return self._sentences(schema)

    def _sentences(self, schema: Schema) -> str:
        """Return as many sentences as a text of the least length takes, cut at its greatest length."""
        min_length = int(schema.get("minLength", 0))
        default_length = max(min_length, _MOST_CHARACTERS)
        max_length = int(schema.get("maxLength", default_length))
        text = sentence(self.text, self.chance)
        while len(text) < min_length:
            next_sentence = sentence(self.text, self.chance)
            text = f"{text} {next_sentence}"
        return text[:max_length]

    def _choose(self, values: list[Any]) -> Any:
        """Return the first value that the text names; any, by chance, if it names none."""
        for value in values:
            if isinstance(value, str) and self._is_in_text(value):
                return value
        return self.chance.pick(values)

    def _is_in_text(self, value: str) -> bool:
        """Tell whether the text contains a value; `_` in it matches a space."""
        return bool(value) and value.replace("_", " ").lower() in self.lower

    def _variant(self, variants: list[Any], depth: int) -> Any:
        value_schemas = [variant for variant in variants if not is_null(variant)]
        if not value_schemas:
            return _NULL
        null_allowed = len(value_schemas) < len(variants)
        if null_allowed and self.chance.share() < 0.25:
            return _NULL
        if depth >= _MAX_DEPTH:
            return value_schemas[0]
        return self.chance.pick(value_schemas)
