"""Structured answers read in bulk: by Arrow's JSON reader, and checked by Arrow's kernels, without a Python object.

Only schemas whose rules have kernels are read so: objects and arrays of strings, integers, numbers and booleans, with
enums and bounds. What is accepted here is what msgspec and jsonschema accept, and as the same value; of what is not
accepted nothing is said, and those two look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json

from nightbatch.columnar.json_blocks import read
from nightbatch.messages.schema import definitions_of, resolve

Check = Callable[[Any], np.ndarray]
"""Tells which values of an array keep a schema's rules; a null keeps none."""
_WORDS = {
    "title",
    "description",
    "default",
    "examples",
    "example",
    "$comment",
    "deprecated",
}
_WHOLE = 2**53
"""Below it every whole number is a float too."""
_LEAST, _MOST = (np.greater_equal, np.less_equal)
_BOUNDS = {
    "minimum": _LEAST,
    "maximum": _MOST,
    "exclusiveMinimum": np.greater,
    "exclusiveMaximum": np.less,
}
_ITEMS, _LENGTH = (
    {f"min{of}": _LEAST, f"max{of}": _MOST} for of in ("Items", "Length")
)
_KINDS = {str: "string", int: "integer", bool: "boolean"}


class Parsed(NamedTuple):
    """Values of some of the texts, and which texts those are."""

    values: pa.StructArray
    which: np.ndarray


@dataclass(frozen=True)
class Bulk:
    """Reads many answers of one schema, whose Arrow type is `kind`."""

    kind: pa.StructType
    fit: Check

    @classmethod
    def of(cls, schema: Mapping[str, Any], kind: pa.DataType) -> Bulk | None:
        """Return a reader; None for a schema with a rule that has no kernel."""
        try:
            return cls(kind, _check(schema, definitions_of(schema)))
        except _NoKernelError:
            return None

    def parse(self, texts: pa.Array) -> Parsed | None:
        """Parse texts, unchecked; None where one of them does not fit the type. Holds no lock of Python's meanwhile.

        Texts that begin and end as objects do are parsed in one go, a line each. Between such two, outside of an
        object, no JSON can go on: so each is one value if there are as many values as texts.
        """
        which = pc.and_(pc.starts_with(texts, "{"), pc.ends_with(texts, "}"))
        some = texts if pc.all(which).as_py() else texts.filter(which)
        joined = pc.binary_join(
            pa.ListArray.from_arrays(pa.array([0, len(some)], pa.int32()), some), "\n"
        )
        block = joined[0].as_buffer()
        options = json.ParseOptions(
            explicit_schema=pa.schema(list(self.kind)),
            unexpected_field_behavior="error",
        )
        values = read(block, options)
        if values is None or len(values) != len(some):
            return None
        if not np.frombuffer(
            block, np.uint8
        ).all():  # a NUL ends the JSON reader's work
            return None
        return Parsed(values, np.asarray(which))


class _NoKernelError(Exception):
    """The schema has a rule that is not checked here."""


def _check(schema: Any, definitions: Mapping[str, Any]) -> Check:
    """Find what checks values of a schema. Raises _NoKernelError."""
    schema = _present(resolve(schema, definitions), definitions)
    literals = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if literals is not None:
        return _literal(schema, [one for one in literals if one is not None])
    check = _CHECKS.get(str(schema.get("type")))
    if check is None:
        raise _NoKernelError
    return check(schema, definitions)


def _present(schema: Any, definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of values that are not null."""
    if not isinstance(schema, Mapping):
        raise _NoKernelError
    if "anyOf" in schema:
        _only(schema, "anyOf")
        variants = [resolve(one, definitions) for one in schema["anyOf"]]
        return _present(
            _sole([one for one in variants if one != {"type": "null"}]), definitions
        )
    if isinstance(schema.get("type"), list):
        return {
            **schema,
            "type": _sole([kind for kind in schema["type"] if kind != "null"]),
        }
    return schema


def _sole(present: list[Any]) -> Any:
    if len(present) != 1:
        raise _NoKernelError
    return present[0]


def _only(schema: Mapping[str, Any], *known: str) -> None:
    if schema.keys() - _WORDS - set(known):
        raise _NoKernelError


def _literal(schema: Mapping[str, Any], literals: list[Any]) -> Check:
    _only(schema, "type", "enum", "const")
    kinds = {type(one) for one in literals}
    if len(kinds) != 1 or len({"enum", "const"} & schema.keys()) != 1:
        raise _NoKernelError
    kind = _KINDS.get(kinds.pop())
    if kind is None or schema.get("type", kind) != kind:
        raise _NoKernelError
    allowed = pa.array(literals)
    return lambda values: _mask(
        pc.and_(values.is_valid(), pc.is_in(values, value_set=allowed))
    )


def _object(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Check:
    _only(
        schema,
        "type",
        "properties",
        "required",
        "additionalProperties",
        "$defs",
        "definitions",
    )
    properties = schema.get("properties")
    if not properties or schema.get("additionalProperties") not in (None, False):
        raise _NoKernelError
    checks = [_check(part, definitions) for part in properties.values()]

    def fit(values: pa.StructArray) -> np.ndarray:
        kept = np.ones(len(values), dtype=bool)
        for check, field in zip(checks, values.flatten(), strict=True):
            kept &= check(field)
        return kept

    return fit


def _array(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Check:
    _only(schema, "type", "items", *_ITEMS)
    check, within = _check(schema.get("items"), definitions), _bounded(schema, _ITEMS)

    def fit(values: pa.ListArray) -> np.ndarray:
        kept = _mask(values.is_valid()) & within(_numbers(pc.list_value_length(values)))
        kept[np.asarray(pc.list_parent_indices(values))[~check(values.flatten())]] = (
            False
        )
        return kept

    return fit


def _string(schema: Mapping[str, Any], _: Mapping[str, Any]) -> Check:
    _only(schema, "type", *_LENGTH)
    within = _bounded(schema, _LENGTH)
    return lambda values: (
        _mask(values.is_valid()) & within(_numbers(pc.utf8_length(values)))
    )


def _integer(schema: Mapping[str, Any], _: Mapping[str, Any]) -> Check:
    _only(schema, "type", *_BOUNDS)
    within = _bounded(schema, _BOUNDS)
    return lambda values: _mask(values.is_valid()) & within(_numbers(values))


def _number(schema: Mapping[str, Any], _: Mapping[str, Any]) -> Check:
    _only(schema, "type", *_BOUNDS)
    within = _bounded(schema, _BOUNDS)

    def fit(values: pa.Array) -> np.ndarray:
        found = _numbers(values)
        alike = (np.abs(found) < _WHOLE) & ~(
            (found == 0) & np.signbit(found)
        )  # JSON's -0 is a whole number
        kept: np.ndarray = _mask(values.is_valid()) & alike & within(found)
        return kept

    return fit


def _boolean(schema: Mapping[str, Any], _: Mapping[str, Any]) -> Check:
    _only(schema, "type")
    return lambda values: _mask(values.is_valid())


_CHECKS: dict[Any, Callable[[Mapping[str, Any], Mapping[str, Any]], Check]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}


def _bounded(schema: Mapping[str, Any], rules: Mapping[str, Any]) -> Check:
    """Find what checks numbers by those rules of a schema that are bounds."""
    bounds = [
        (compare, schema[rule]) for rule, compare in rules.items() if rule in schema
    ]
    if any(
        type(bound) not in (int, float) or abs(bound) >= _WHOLE for _, bound in bounds
    ):
        raise _NoKernelError

    def within(found: np.ndarray) -> np.ndarray:
        kept = np.ones(len(found), dtype=bool)
        for compare, bound in bounds:
            kept &= compare(found, bound)
        return kept

    return within


def _numbers(values: pa.Array) -> np.ndarray:
    found: np.ndarray = np.asarray(pc.fill_null(values, 0))
    return found


def _mask(told: pa.Array) -> np.ndarray:
    """Read truth values, null as false, into memory of our own."""
    return np.array(pc.fill_null(told, fill_value=False))
