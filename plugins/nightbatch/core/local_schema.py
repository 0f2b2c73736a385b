"""A JSON schema that refers to nothing outside itself, and is small enough to be worked with.

Validators fetch what `$ref`, `$schema` and `$id` name, by http and from files, and whoever fills in a form writes the
schema: so each reference must lead to the schema's own definitions, and the dialect is always 2020-12.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from nightbatch.core.errors import AnswerTypeError

MAX_DEPTH = 64
MAX_PARTS = 10_000
"""Subschemas, each counted as often as references lead to it."""
_DATA = frozenset({"enum", "const", "default", "examples", "example", "required", "dependentRequired"})
"""Keywords whose values are data, whatever they look like."""
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords whose values are schemas by name."""
_DIALECT = frozenset({"$schema", "$id", "id", "$vocabulary", "$comment"})
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_PLACES = ("$defs", "definitions")


def local(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy without the keywords that name a dialect or a base.

    Raises AnswerTypeError for a reference that leads outside, and for a schema that is too deep or too large.
    """
    copied: dict[str, Any] = _copy(schema, schema, "answer_schema", 0)
    _size(copied, copied, {}, ())
    return copied


def _copy(part: Any, root: Mapping[str, Any], path: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise AnswerTypeError(f"answer_schema: is nested more than {MAX_DEPTH} levels deep; make it flatter.")
    copy_below = partial(_copy, root=root, depth=depth + 1)
    if isinstance(part, (list, tuple)):
        return [copy_below(item, path=f"{path}[{number}]") for number, item in enumerate(part)]
    if not isinstance(part, Mapping):
        return part
    copied = dict[str, Any]()
    for keyword, value in part.items():
        if keyword in _REFERENCES:
            _check_reference(value, root, f"{path}.{keyword}")
        if keyword in _DATA:
            copied[keyword] = value
        elif keyword in _NAMED and isinstance(value, Mapping):
            copied[keyword] = {name: copy_below(item, path=f"{path}.{name}") for name, item in value.items()}
        elif keyword not in _DIALECT:
            copied[keyword] = copy_below(value, path=f"{path}.{keyword}")
    return copied


def _check_reference(reference: Any, root: Mapping[str, Any], path: str) -> None:
    """Refuse a reference that does not name a definition of the schema itself."""
    text = reference if isinstance(reference, str) else ""
    for place in _PLACES:
        prefix = f"#/{place}/"
        if text.startswith(prefix) and text.removeprefix(prefix) in (root.get(place) or {}):
            return
    shown = f" {text[:100]!r}" if text.startswith("#") else ""
    raise AnswerTypeError(f"{path}:{shown} must name a definition of this schema, such as #/$defs/Address.")


def _size(part: Any, root: Mapping[str, Any], known: dict[str, int], above: tuple[str, ...]) -> int:
    """Count the subschemas that a part stands for once its references are followed."""
    if isinstance(part, list):
        return sum(_size(item, root, known, above) for item in part)
    if not isinstance(part, Mapping):
        return 0
    total = 1 + sum(_size(value, root, known, above) for key, value in part.items() if key not in {*_DATA, *_PLACES})
    reference = part.get("$ref")
    if isinstance(reference, str):
        total += _referred(reference, root, known, above)
    if total > MAX_PARTS:
        raise AnswerTypeError(f"answer_schema: stands for more than {MAX_PARTS:,} parts once references are followed.")
    return total


def _referred(reference: str, root: Mapping[str, Any], known: dict[str, int], above: tuple[str, ...]) -> int:
    if reference in above:
        raise AnswerTypeError(f"answer_schema: {reference} contains itself; the API takes no recursive schemas.")
    if len(above) > MAX_DEPTH:
        raise AnswerTypeError(f"answer_schema: references lead more than {MAX_DEPTH} levels deep; make it flatter.")
    if reference not in known:
        _, place, name = reference.split("/", 2)
        known[reference] = _size(root[place][name], root, known, (*above, reference))
    return known[reference]
