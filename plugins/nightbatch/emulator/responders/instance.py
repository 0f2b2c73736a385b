"""A valid, deterministic instance of any JSON schema that depends on a text: the same prompt, the same answer.

Bounds are read from descriptions too: the SDK moves those there that the API rejects, as `{minimum: 1, maximum: 5}`.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from nightbatch.emulator.responders.words import Chance, pick_words, sentence
from nightbatch.emulator.wire import Json

Schema = Mapping[str, Any]

_HINT = re.compile(
    r"\b(minimum|maximum|exclusiveMinimum|exclusiveMaximum|minLength|maxLength|maxItems|minItems): (-?\d+)"
)
_NO_LABEL = re.compile(r"[^a-z0-9-]", re.I | re.A)
_MOST_LABEL_CHARACTERS = 40
_START = datetime(2026, 1, 1, tzinfo=UTC)
_MAX_DEPTH = 6  # deeper than this, only what the schema requires


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
            return self.make(self._resolve(str(schema["$ref"])), depth=depth + 1)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._choose(schema["enum"])
        for union_key in ("anyOf", "oneOf"):
            if schema.get(union_key):
                variant = self._variant(schema[union_key], depth)
                return self.make(variant, depth=depth + 1)
        if schema.get("allOf"):
            merged_schema = _merged(schema["allOf"], self._resolve)
            return self.make(merged_schema, depth=depth + 1)
        return self._of_type(_bounded(schema), depth)

    def _of_type(self, schema: Schema, depth: int) -> Any:
        match self._type(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer":
                return self._number(schema, whole=True)
            case "number":
                return self._number(schema, whole=False)
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
        return self.chance.pick(value_types or ["null"])

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
        min_items, max_items = _item_bounds(schema)
        if depth >= _MAX_DEPTH:
            max_items = min_items
        choice_count = max_items - min_items + 1
        item_count = min_items + self.chance.below(choice_count)
        item_schema = schema.get("items", {})
        return [self.make(item_schema, depth=depth + 1) for _ in range(item_count)]

    def _number(self, schema: Schema, *, whole: bool) -> float:
        low, high = _bounds(schema, step=1 if whole else 0.01)
        if whole:
            step = int(schema.get("multipleOf", 1)) or 1
            return self._multiple(step, int(low), int(high))
        distance = self.chance.share() * (high - low)
        return round(low + distance, 2)

    def _multiple(self, step: int, low: int, high: int) -> int:
        """Return a multiple of `step` from `low` to `high`; the first one from `low` if there is none."""
        first_factor = -(-low // step)
        last_factor = high // step
        choice_count = max(1, last_factor - first_factor + 1)
        factor = first_factor + self.chance.below(choice_count)
        return factor * step

    def _string(self, schema: Schema) -> str:
        text_format = schema.get("format")
        if text_format is not None:
            formatted_text = self._formatted(str(text_format))
            if formatted_text is not None:
                return formatted_text
        if "pattern" in schema:
            return _matching(str(schema["pattern"]), self.chance)
        min_length = int(schema.get("minLength", 0))
        max_length = int(schema.get("maxLength", max(min_length, 200)))
        text = sentence(self.text, self.chance)
        while len(text) < min_length:
            text += " " + sentence(self.text, self.chance)
        return text[:max_length]

    def _formatted(self, text_format: str) -> str | None:
        """Return a text of a format, None for an unknown one. Every format uses the same number of choices."""
        moment = _START + timedelta(seconds=self.chance.below(300 * 86_400))
        number = 1 + self.chance.below(254)
        word = _label("-".join(pick_words(self.text, self.chance, 1)))
        texts_by_format = {
            "date": f"{moment:%Y-%m-%d}",
            "date-time": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
            "time": f"{moment:%H:%M:%S}Z",
            "duration": f"PT{number}M",
            "email": f"{word}@example.com",
            "hostname": f"{word}.example.com",
            "uri": f"https://example.com/{word}",
            "ipv4": f"192.0.2.{number}",
            "ipv6": f"2001:db8::{number:x}",
            "uuid": self._uuid(),
        }
        return texts_by_format.get(text_format)

    def _uuid(self) -> str:
        groups = [f"{self.chance.below(1 << 16):04x}" for _ in range(8)]
        hex_digits = "".join(groups)
        return str(UUID(hex_digits))

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
        value_schemas = [variant for variant in variants if not _is_null(variant)]
        null_allowed = len(value_schemas) < len(variants)
        if not value_schemas or (null_allowed and self.chance.share() < 0.25):
            return {"type": "null"}
        if depth >= _MAX_DEPTH:
            return value_schemas[0]
        return self.chance.pick(value_schemas)

    def _resolve(self, ref: str) -> Any:
        definition: Any = self.root
        for key in ref.removeprefix("#").strip("/").split("/"):
            if key:
                definition = (
                    definition.get(key, {}) if isinstance(definition, dict) else {}
                )
        return definition


def _item_bounds(schema: Schema) -> tuple[int, int]:
    min_items = int(schema.get("minItems", 0))
    max_items = int(schema.get("maxItems", min_items + 3))
    return min_items, max(min_items, max_items)


def _bounds(schema: Schema, step: float) -> tuple[float, float]:
    """Return the least and the greatest number; by default 0 and 100, moved to agree with the other bound."""
    low = _bound(schema, "minimum", "exclusiveMinimum", step)
    high = _bound(schema, "maximum", "exclusiveMaximum", -step)
    if low is None:
        low = 0 if high is None else min(0, high)
    if high is None:
        high = max(low, 100)
    return low, high


def _bounded(schema: Schema) -> Schema:
    description = schema.get("description")
    if not isinstance(description, str) or ": " not in description:
        return schema
    hints = {name: int(value) for name, value in _HINT.findall(description)}
    return {**hints, **schema}


def _bound(schema: Schema, inclusive_key: str, exclusive_key: str, step: float) -> Any:
    """Return a bound, one step inside where it is exclusive; None for a schema without one."""
    if inclusive_key in schema:
        return schema[inclusive_key]
    if exclusive_key in schema:
        return schema[exclusive_key] + step
    return None


def _merged(schemas: list[Any], resolve: Any) -> Json:
    merged_schema: Json = {}
    for schema in schemas:
        part_schema = resolve(schema["$ref"]) if "$ref" in schema else schema
        merged_schema = _merged_pair(merged_schema, part_schema)
    return merged_schema


def _merged_pair(first: Schema, second: Schema) -> Json:
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


def _is_null(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    return schema.get("type") == "null" or schema.get("const", 0) is None


def _matching(pattern: str, chance: Chance) -> str:
    """Return a string that matches a simple pattern: classes, groups of alternatives and counts; else the bare text."""
    return "".join(_pieces(pattern.removeprefix("^").removesuffix("$"), chance))


_PIECE = re.compile(r"(\[[^\]]+\]|\\[dws]|\([^()]*\)|\\.|.)(\{(\d+)(?:,\d*)?\}|[+*?])?")
_ALPHABETS = {
    r"\d": "0123456789",
    r"\w": "abcdefghijklmnopqrstuvwxyz",
    r"\s": " ",
    ".": "abcdefgh",
}


def _pieces(pattern: str, chance: Chance) -> list[str]:
    text_pieces = []
    for piece, quantifier, min_count in _PIECE.findall(pattern):
        repeat_count = _repeat_count(quantifier, min_count)
        text_pieces += [_piece(piece, chance) for _ in range(repeat_count)]
    return text_pieces


def _repeat_count(quantifier: str, min_count: str) -> int:
    if min_count:
        return int(min_count)
    return 0 if quantifier in {"*", "?"} else 1


def _piece(piece: str, chance: Chance) -> str:
    if piece.startswith("("):
        alternatives = piece[1:-1].removeprefix("?:").split("|")
        return _matching(chance.pick(alternatives), chance)
    if piece.startswith("["):
        return chance.pick(_letters(piece[1:-1]))
    if piece in _ALPHABETS:
        return chance.pick(_ALPHABETS[piece])
    return piece.removeprefix("\\")


def _letters(character_class: str) -> str:
    """Return all letters of a character class: its ranges and its `\\d` and `\\w` written out."""
    letters = re.sub(r"(.)-(.)", _letter_range, character_class)
    return re.sub(r"\\[dw]", lambda escape: _ALPHABETS[escape[0]], letters)


def _letter_range(ends: re.Match[str]) -> str:
    code_points = range(ord(ends[1]), ord(ends[2]) + 1)
    return "".join(map(chr, code_points))


def _label(word: str) -> str:
    """Return a word as a label of a host's name, which an address may hold too: letters and digits of ASCII."""
    ascii_word = _NO_LABEL.sub("", word)
    return ascii_word[:_MOST_LABEL_CHARACTERS].strip("-") or "example"
