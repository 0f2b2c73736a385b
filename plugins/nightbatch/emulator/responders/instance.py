"""A valid, deterministic instance of any JSON schema that depends on a text: the same prompt, the same answer.

Bounds are looked for in descriptions too, where the SDK writes what the API does not take: `{minimum: 1, maximum: 5}`.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from nightbatch.emulator.responders.words import Chance, pick_words, sentence

Schema = Mapping[str, Any]

_HINT = re.compile(
    r"\b(minimum|maximum|exclusiveMinimum|exclusiveMaximum|minLength|maxLength|maxItems|minItems): (-?\d+)"
)
_START = datetime(2026, 1, 1, tzinfo=UTC)


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
        for union in ("anyOf", "oneOf"):
            if schema.get(union):
                return self.make(self._variant(schema[union], depth), depth=depth + 1)
        if schema.get("allOf"):
            return self.make(_merged(schema["allOf"], self._resolve), depth=depth + 1)
        return self._of_type(_bounded(schema), depth)

    def _of_type(self, schema: Schema, depth: int) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = self.chance.pick(
                [name for name in kind if name != "null"] or ["null"]
            )
        match kind:
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

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        needed = schema.get("required", [])
        fields = schema.get("properties", {})
        chosen = (
            name
            for name in fields
            if name in needed or (depth < 6 and self.chance.share() < 0.8)
        )
        return {name: self.make(fields[name], depth=depth + 1) for name in chosen}

    def _array(self, schema: Schema, depth: int) -> list[Any]:
        least = int(schema.get("minItems", 0))
        most = int(schema.get("maxItems", least + 3))
        length = least + self.chance.below(
            max(least, most if depth < 6 else least) - least + 1
        )
        return [
            self.make(schema.get("items", {}), depth=depth + 1) for _ in range(length)
        ]

    def _number(self, schema: Schema, *, whole: bool) -> float:
        step = 1 if whole else 0.01
        low = schema.get(
            "minimum",
            schema["exclusiveMinimum"] + step if "exclusiveMinimum" in schema else None,
        )
        high = schema.get(
            "maximum",
            schema["exclusiveMaximum"] - step if "exclusiveMaximum" in schema else None,
        )
        low = (min(0, high) if high is not None else 0) if low is None else low
        high = max(low, 100) if high is None else high
        if not whole:
            return round(low + self.chance.share() * (high - low), 2)
        multiple = int(schema.get("multipleOf", 1)) or 1
        first = -(-int(low) // multiple)
        return (
            first + self.chance.below(max(1, int(high) // multiple - first + 1))
        ) * multiple

    def _string(self, schema: Schema) -> str:
        form = schema.get("format")
        if form is not None and (made := self._formatted(str(form))) is not None:
            return made
        if "pattern" in schema:
            return _matching(str(schema["pattern"]), self.chance)
        least = int(schema.get("minLength", 0))
        most = int(schema.get("maxLength", max(least, 200)))
        text = sentence(self.text, self.chance)
        while len(text) < least:
            text += " " + sentence(self.text, self.chance)
        return text[:most]

    def _formatted(self, form: str) -> str | None:
        day = _START + timedelta(seconds=self.chance.below(300 * 86_400))
        number = 1 + self.chance.below(254)
        word = "-".join(pick_words(self.text, self.chance, 1)) or "example"
        forms = {
            "date": f"{day:%Y-%m-%d}",
            "date-time": f"{day:%Y-%m-%dT%H:%M:%SZ}",
            "time": f"{day:%H:%M:%S}Z",
            "duration": f"PT{number}M",
            "email": f"{word}@example.com",
            "hostname": f"{word}.example.com",
            "uri": f"https://example.com/{word}",
            "ipv4": f"192.0.2.{number}",
            "ipv6": f"2001:db8::{number:x}",
            "uuid": "".join(f"{self.chance.below(1 << 16):04x}" for _ in range(8)),
        }
        made = forms.get(form)
        return (
            "-".join(re.findall(r"(.{8})(.{4})(.{4})(.{4})(.{12})", made)[0])
            if form == "uuid" and made
            else made
        )

    def _choose(self, values: list[Any]) -> Any:
        """Return the value that the text names; the first of two; any, by chance, if it names none."""
        for value in values:
            if (
                isinstance(value, str)
                and value
                and value.replace("_", " ").lower() in self.lower
            ):
                return value
        return self.chance.pick(values)

    def _variant(self, variants: list[Any], depth: int) -> Any:
        plain = [variant for variant in variants if not _is_null(variant)]
        if not plain or (len(plain) < len(variants) and self.chance.share() < 0.25):
            return {"type": "null"}
        return plain[0] if depth >= 6 else self.chance.pick(plain)

    def _resolve(self, ref: str) -> Any:
        found: Any = self.root
        for step in ref.removeprefix("#").strip("/").split("/"):
            if step:
                found = found.get(step, {}) if isinstance(found, dict) else {}
        return found


def _bounded(schema: Schema) -> Schema:
    description = schema.get("description")
    if not isinstance(description, str) or ": " not in description:
        return schema
    hints = {name: int(value) for name, value in _HINT.findall(description)}
    return {**hints, **schema}


def _merged(schemas: list[Any], resolve: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for schema in schemas:
        found = resolve(schema["$ref"]) if "$ref" in schema else schema
        properties = {**merged.get("properties", {}), **found.get("properties", {})}
        required = [*merged.get("required", []), *found.get("required", [])]
        merged = {**merged, **found}
        if properties:
            merged |= {"properties": properties, "required": required}
    return merged


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and (
        schema.get("type") == "null" or schema.get("const", 0) is None
    )


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
    made = []
    for piece, times, least in _PIECE.findall(pattern):
        repeat = int(least) if least else (0 if times in {"*", "?"} else 1)
        made += [_piece(piece, chance) for _ in range(repeat)]
    return made


def _piece(piece: str, chance: Chance) -> str:
    if piece.startswith("("):
        return _matching(chance.pick(piece[1:-1].removeprefix("?:").split("|")), chance)
    if piece.startswith("["):
        return chance.pick(_letters(piece[1:-1]))
    return (
        chance.pick(_ALPHABETS[piece])
        if piece in _ALPHABETS
        else piece.removeprefix("\\")
    )


def _letters(inside: str) -> str:
    spans = re.sub(
        r"(.)-(.)",
        lambda span: "".join(map(chr, range(ord(span[1]), ord(span[2]) + 1))),
        inside,
    )
    return re.sub(r"\\[dw]", lambda kind: _ALPHABETS[kind[0]], spans)
