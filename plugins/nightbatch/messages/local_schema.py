"""A JSON schema that refers to nothing outside itself, and is small enough to process.

Validators fetch what `$ref`, `$schema` and `$id` name, by http and from files, and the schema may come from anyone who
fills in a form: so each reference must lead to the schema's own definitions, and the dialect is always 2020-12.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from nightbatch.errors import AnswerTypeError
from nightbatch.messages.schema import TYPES, Schema

MAX_DEPTH = 64
"""Levels of subschemas, with references followed."""
MAX_PARTS = 10_000
"""Subschemas, each counted as often as references lead to it."""
_DATA = frozenset(
    {"enum", "const", "default", "examples", "example", "required", "dependentRequired"}
)
"""Keywords whose values are data, whatever they look like."""
_NAMED = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
)
"""Keywords whose values are schemas by name."""
_DIALECT = frozenset({"$schema", "$id", "id", "$vocabulary", "$comment"})
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_PLACES = ("$defs", "definitions")
_POINTER_MARKS = frozenset("/~%")
"""In a reference these lead below a definition, or encode other characters."""


class _Extent(NamedTuple):
    """How many subschemas a schema has once references are followed, and how many levels deep they nest."""

    parts: int
    depth: int


def local(schema: Schema) -> dict[str, Any]:
    """Return a copy without the keywords that name a dialect or a base.

    Raises AnswerTypeError for a reference that leads outside, and for a schema that is too deep or too large.
    """
    copied: dict[str, Any] = _copy(schema, schema, "answer_schema", 0)
    _require_small(copied)
    return copied


def _require_small(schema: Schema) -> None:
    """Raise AnswerTypeError for a schema that is too deep or too large, be it in a definition that nothing names."""
    measures = _Measures(schema)
    measures.measure(schema)
    for definition in _definitions(schema):
        measures.measure(definition)


def _definitions(schema: Schema) -> Iterator[Any]:
    for keyword in _PLACES:
        definitions = schema.get(keyword)
        if isinstance(definitions, Mapping):
            yield from definitions.values()


def _copy(part: Any, root: Schema, path: str, depth: int) -> Any:
    _check_depth(depth)
    copy_below = partial(_copy, root=root, depth=depth + 1)
    if isinstance(part, (list, tuple)):
        return [
            copy_below(item, path=f"{path}[{number}]")
            for number, item in enumerate(part)
        ]
    if not isinstance(part, Mapping):
        return part
    copied = dict[str, Any]()
    for keyword, value in part.items():
        keyword_path = f"{path}.{keyword}"
        if keyword in _REFERENCES:
            _check_reference(value, root, keyword_path)
        if keyword == "type":
            _check_types(value, path)
        if keyword in _DATA:
            copied[keyword] = value
        elif keyword in _NAMED and isinstance(value, Mapping):
            copied[keyword] = {
                name: copy_below(item, path=f"{path}.{name}")
                for name, item in value.items()
            }
        elif keyword not in _DIALECT:
            copied[keyword] = copy_below(value, path=keyword_path)
    return copied


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise AnswerTypeError(
            f"answer_schema: is nested more than {MAX_DEPTH} levels deep; make it flatter."
        )


def _check_types(named: Any, path: str) -> None:
    """Refuse a type, or one of a list of types, that JSON schemas do not have."""
    type_names = [named]
    if isinstance(named, list):
        type_names = named
    for type_name in type_names:
        if isinstance(type_name, str) and type_name in TYPES:
            continue
        type_text = str(type_name)
        shown_type = type_text[:100]
        known_types = ", ".join(sorted(TYPES))
        raise AnswerTypeError(
            f"{path}: type {shown_type!r} is not one of {known_types}."
        )


def _check_reference(reference: Any, root: Schema, path: str) -> None:
    """Refuse a reference that does not name a definition of the schema itself."""
    reference_text = reference if isinstance(reference, str) else ""
    if any(_names_definition(reference_text, root, keyword) for keyword in _PLACES):
        return
    shown_reference = ""
    if reference_text.startswith("#"):
        shown_reference = f" {reference_text[:100]!r}"
    raise AnswerTypeError(
        f"{path}:{shown_reference} must name a definition of this schema, such as #/$defs/Address."
    )


def _names_definition(reference: str, root: Schema, keyword: str) -> bool:
    """Tell whether a reference is the plain name of a definition below a keyword of the root."""
    prefix = f"#/{keyword}/"
    if not reference.startswith(prefix):
        return False
    name = reference.removeprefix(prefix)
    if _POINTER_MARKS & set(name):
        return False
    definitions = root.get(keyword)
    if not isinstance(definitions, Mapping):
        return False
    return name in definitions


@dataclass(frozen=True)
class _Measures:
    """Counts the subschemas of schemas once references are followed; measures each definition once."""

    root: Schema
    extents: dict[str, _Extent] = field(default_factory=dict)

    def measure(
        self, part: Any, above: tuple[str, ...] = (), level: int = 0
    ) -> _Extent:
        """Measure a copied schema. `above`: the references that lead to it, which are at this level."""
        if not isinstance(part, Mapping):
            return _Extent(0, 0)
        _check_depth(level)
        level_below = level + 1
        extents = [self.measure(item, above, level_below) for item in _subschemas(part)]
        if "$ref" in part:
            extent = self._follow(part["$ref"], above, level_below)
            extents.append(extent)
        part_count = 1
        total_depth = 1
        for extent in extents:
            part_count += extent.parts
            total_depth = max(total_depth, 1 + extent.depth)
        _check_depth(total_depth)
        if part_count > MAX_PARTS:
            raise AnswerTypeError(
                f"answer_schema: has more than {MAX_PARTS:,} parts once references are followed."
            )
        return _Extent(part_count, total_depth)

    def _follow(self, reference: str, above: tuple[str, ...], level: int) -> _Extent:
        if reference in above:
            raise AnswerTypeError(
                f"answer_schema: {reference} contains itself; the API takes no recursive schemas."
            )
        if reference not in self.extents:
            _, keyword, name = reference.split("/")
            definition = self.root[keyword][name]
            extent = self.measure(definition, (*above, reference), level)
            self.extents[reference] = extent
        return self.extents[reference]


def _subschemas(part: Schema) -> Iterator[Any]:
    """Name the schemas directly below a schema: all values of keywords, except those that hold data."""
    for keyword, value in part.items():
        if keyword in _DATA or keyword in _PLACES:
            continue
        if keyword in _NAMED and isinstance(value, Mapping):
            yield from value.values()
        elif isinstance(value, list):
            yield from value
        else:
            yield value
