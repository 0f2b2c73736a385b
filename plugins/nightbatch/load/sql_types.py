"""The one type that holds what two types hold, by the names that DuckDB and PostgreSQL give them; nested ones too.

A struct takes the fields of both, since DuckDB matches fields by name and leaves empty what a row does not have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

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
"""Into which types a column may grow without loss."""
_DECIMAL = re.compile(r"(?:decimal|numeric)\((\d+),(\d+)\)")
_NESTED = re.compile(r"(struct|map)\((.*)\)", re.IGNORECASE | re.DOTALL)
_FIELD = re.compile(r'\s*("(?:[^"]|"")*"|\S+)\s+(.*)', re.DOTALL)


def both(one: str, other: str) -> str | None:
    """Return the type that holds the values of both, or None where there is none."""
    if one.lower() == other.lower():
        return one
    if one.endswith("[]") and other.endswith("[]"):
        inner = both(one[:-2], other[:-2])
        return inner and f"{inner}[]"
    nested, another = _NESTED.fullmatch(one), _NESTED.fullmatch(other)
    if nested and another and nested[1].lower() == another[1].lower():
        return (_structs if nested[1].lower() == "struct" else _maps)(
            _parts(nested[2]), _parts(another[2])
        )
    if _grows(one.lower(), other.lower()):
        return other
    return one if _grows(other.lower(), one.lower()) else None


def _grows(narrow: str, wide: str) -> bool:
    one, other = _DECIMAL.fullmatch(narrow), _DECIMAL.fullmatch(wide)
    if one and other:
        (digits, scale), (more, finer) = ((int(m[1]), int(m[2])) for m in (one, other))
        return finer >= scale and more - finer >= digits - scale
    return wide in WIDER.get(narrow, ())


def _structs(mine: list[str], theirs: list[str]) -> str | None:
    fields = dict(_field(part) for part in mine)
    known = {name.strip('"').lower(): name for name in fields}
    for name, kind in map(_field, theirs):
        place = known.get(name.strip('"').lower(), name)
        found = both(fields[place], kind) if place in fields else kind
        if found is None:
            return None
        fields[place] = found
    return f"struct({', '.join(f'{name} {kind}' for name, kind in fields.items())})"


def _maps(mine: list[str], theirs: list[str]) -> str | None:
    found = [both(one, other) for one, other in zip(mine, theirs, strict=True)]
    return None if None in found else f"map({', '.join(map(str, found))})"


def _field(part: str) -> tuple[str, str]:
    found = _FIELD.fullmatch(part)
    assert found is not None
    return found[1], found[2]


def _parts(text: str) -> list[str]:
    """Cut a list at its own commas: not at those inside parentheses or quoted names."""
    parts, depth, quoted = [""], 0, False
    for letter in text:
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if letter == "," and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]
