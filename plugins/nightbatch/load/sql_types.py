"""The common type of two column types, by their names in DuckDB and PostgreSQL, including nested types.

A struct takes the fields of both, since DuckDB matches fields by name and sets fields that a row does not have to null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

WIDER: Mapping[str, set[str]] = {
    "tinyint": {"smallint", "integer", "bigint", "float", "double"},
    "utinyint": {
        "smallint",
        "usmallint",
        "integer",
        "uinteger",
        "bigint",
        "ubigint",
        "float",
        "double",
    },
    "smallint": {"integer", "bigint", "real", "double precision", "float", "double"},
    "usmallint": {"integer", "uinteger", "bigint", "ubigint", "float", "double"},
    "integer": {"bigint", "double precision", "double"},
    "uinteger": {"bigint", "ubigint", "double"},
    "real": {"double precision"},
    "float": {"double"},
    "date": {"timestamp", "timestamp without time zone"},
    "timestamp_s": {"timestamp_ms", "timestamp"},
    "timestamp_ms": {"timestamp"},
}
"""The types that each type can be widened to without loss."""
_DECIMAL = re.compile(r"(?:decimal|numeric)\((\d+),(\d+)\)")
_NESTED = re.compile(r"(struct|map)\((.*)\)", re.IGNORECASE | re.DOTALL)
_FIELD = re.compile(r'\s*("(?:[^"]|"")*"|\S+)\s+(.*)', re.DOTALL)


def both(first: str, second: str) -> str | None:
    """Return the type that holds the values of both types, or None if there is none."""
    if first.lower() == second.lower():
        return first
    if first.endswith("[]") and second.endswith("[]"):
        element_type = both(first[:-2], second[:-2])
        return f"{element_type}[]" if element_type else None
    first_nested = _NESTED.fullmatch(first)
    second_nested = _NESTED.fullmatch(second)
    if first_nested is None or second_nested is None:
        return _wider(first, second)
    first_kind = first_nested[1].lower()
    second_kind = second_nested[1].lower()
    if first_kind != second_kind:
        return _wider(first, second)
    first_parts = _parts(first_nested[2])
    second_parts = _parts(second_nested[2])
    if first_kind == "struct":
        return _structs(first_parts, second_parts)
    return _maps(first_parts, second_parts)


def _wider(first: str, second: str) -> str | None:
    if _grows(first.lower(), second.lower()):
        return second
    if _grows(second.lower(), first.lower()):
        return first
    return None


def _grows(narrow: str, wide: str) -> bool:
    """Check that a type can be widened to another one without loss."""
    narrow_digits = _decimal_digits(narrow)
    wide_digits = _decimal_digits(wide)
    if narrow_digits is None or wide_digits is None:
        return wide in WIDER.get(narrow, ())
    holds_whole = wide_digits.whole >= narrow_digits.whole
    holds_fraction = wide_digits.fraction >= narrow_digits.fraction
    return holds_whole and holds_fraction


class _Digits(NamedTuple):
    """Digits before and after a decimal's point."""

    whole: int
    fraction: int


def _decimal_digits(kind: str) -> _Digits | None:
    decimal = _DECIMAL.fullmatch(kind)
    if decimal is None:
        return None
    precision = int(decimal[1])
    scale = int(decimal[2])
    whole_digits = precision - scale
    return _Digits(whole_digits, scale)


def _structs(first_parts: list[str], second_parts: list[str]) -> str | None:
    """Merge the fields of two structs; names match regardless of case and quotes."""
    field_types = dict(_field(part) for part in first_parts)
    first_names = {_bare_name(name): name for name in field_types}
    for part in second_parts:
        second_name, second_type = _field(part)
        bare_name = _bare_name(second_name)
        field_name = first_names.get(bare_name, second_name)
        first_type = field_types.get(field_name, second_type)
        merged_type = both(first_type, second_type)
        if merged_type is None:
            return None
        field_types[field_name] = merged_type
    return _struct_text(field_types)


def _struct_text(field_types: Mapping[str, str]) -> str:
    fields = [f"{name} {kind}" for name, kind in field_types.items()]
    field_list = ", ".join(fields)
    return f"struct({field_list})"


def _bare_name(name: str) -> str:
    return name.strip('"').lower()


def _maps(first_parts: list[str], second_parts: list[str]) -> str | None:
    """Merge the key and value types of two maps."""
    merged_parts: list[str] = []
    for first, second in zip(first_parts, second_parts, strict=True):
        merged_type = both(first, second)
        if merged_type is None:
            return None
        merged_parts.append(merged_type)
    part_list = ", ".join(merged_parts)
    return f"map({part_list})"


def _field(part: str) -> tuple[str, str]:
    """Split a struct's field into its name and type."""
    name_and_type = _FIELD.fullmatch(part)
    assert name_and_type is not None
    return name_and_type[1], name_and_type[2]


def _parts(text: str) -> list[str]:
    """Split a list at its top-level commas: not at those inside parentheses or quoted names."""
    parts = [""]
    depth = 0
    in_quotes = False
    for letter in text:
        if letter == '"':
            in_quotes = not in_quotes
        if not in_quotes:
            depth += _depth_change(letter)
        if letter == "," and depth == 0 and not in_quotes:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _depth_change(letter: str) -> int:
    if letter == "(":
        return 1
    if letter == ")":
        return -1
    return 0
