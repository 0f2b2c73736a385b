"""Check the values of a column against a JSON schema, with Arrow's kernels.

Only some rules have kernels: objects and arrays of strings, integers, numbers and booleans, with enums and bounds.
What keeps them is what jsonschema accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.messages.schema import Definitions, Schema, definitions_of, resolve

Check = Callable[[Any], np.ndarray]
"""Tells which values of an array keep a schema's rules; a null keeps none."""
Compare = Callable[[np.ndarray, float], np.ndarray]
"""Tells which numbers keep to a bound."""
Bound = tuple[Compare, float]
_ANNOTATIONS = {
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
_BOUNDS = {
    "minimum": np.greater_equal,
    "maximum": np.less_equal,
    "exclusiveMinimum": np.greater,
    "exclusiveMaximum": np.less,
}
_ITEMS = {"minItems": np.greater_equal, "maxItems": np.less_equal}
_LENGTH = {"minLength": np.greater_equal, "maxLength": np.less_equal}
_KINDS = {str: "string", int: "integer", bool: "boolean"}


class NoKernelError(Exception):
    """The schema has a rule that is not checked here."""


def check_for(schema: Schema) -> Check:
    """Find what checks values of a schema. Raises NoKernelError."""
    return _check(schema, definitions_of(schema))


def _check(schema: Any, definitions: Definitions) -> Check:
    """Find what checks values of a part of a schema."""
    resolved_schema = resolve(schema, definitions)
    schema = _present(resolved_schema, definitions)
    literals = _literals(schema)
    if literals is not None:
        return _literal(schema, literals)
    named_type = schema.get("type")
    type_name = str(named_type)
    make_check = _CHECKS.get(type_name)
    if make_check is None:
        raise NoKernelError
    return make_check(schema, definitions)


def _literals(schema: Schema) -> Any:
    """Return the only values that a schema allows; None where it does not list them."""
    if "enum" in schema:
        return schema["enum"]
    return [schema["const"]] if "const" in schema else None


def _present(schema: Any, definitions: Definitions) -> Schema:
    """Return the schema of values that are not null."""
    if not isinstance(schema, Mapping):
        raise NoKernelError
    if "anyOf" in schema:
        _only(schema, "anyOf")
        any_of = schema["anyOf"]
        variants = [resolve(variant, definitions) for variant in any_of]
        sole_variant = _sole(variants, {"type": "null"})
        return _present(sole_variant, definitions)
    type_names = schema.get("type")
    if isinstance(type_names, list):
        sole_type = _sole(type_names, "null")
        return {**schema, "type": sole_type}
    return schema


def _sole(variants: list[Any], null_variant: Any) -> Any:
    """Return the one variant that is not null. Raises NoKernelError where there is not exactly one."""
    present_variants = [variant for variant in variants if variant != null_variant]
    if len(present_variants) != 1:
        raise NoKernelError
    return present_variants[0]


def _only(schema: Schema, *keywords: str) -> None:
    """Raise NoKernelError where a schema has rules beyond these keywords."""
    rules = schema.keys() - _ANNOTATIONS
    if rules - set(keywords):
        raise NoKernelError


def _literal(schema: Schema, literals: list[Any]) -> Check:
    """Find what checks that values are among the literals, which may name null too."""
    _only(schema, "type", "enum", "const")
    if "enum" in schema and "const" in schema:
        raise NoKernelError
    present_literals = [value for value in literals if value is not None]
    type_name = _type_of(present_literals)
    named_type = schema.get("type", type_name)
    if named_type != type_name:
        raise NoKernelError
    allowed_values = pa.array(present_literals)

    def fit(values: pa.Array) -> np.ndarray:
        is_allowed = pc.is_in(values, value_set=allowed_values)
        is_fit = pc.and_(values.is_valid(), is_allowed)
        return _mask(is_fit)

    return fit


def _type_of(literals: list[Any]) -> str:
    """Return the JSON type of all literals. Raises NoKernelError where there is not one that can be compared."""
    python_types = {type(value) for value in literals}
    if len(python_types) != 1:
        raise NoKernelError
    type_name = _KINDS.get(python_types.pop())
    if type_name is None:
        raise NoKernelError
    return type_name


def _object(schema: Schema, definitions: Definitions) -> Check:
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
        raise NoKernelError
    checks = [_check(part, definitions) for part in properties.values()]

    def fit(values: pa.StructArray) -> np.ndarray:
        is_fit = np.ones(len(values), dtype=bool)
        for check, field in zip(checks, values.flatten(), strict=True):
            is_fit &= check(field)
        return is_fit

    return fit


def _array(schema: Schema, definitions: Definitions) -> Check:
    _only(schema, "type", "items", *_ITEMS)
    check_items = _check(schema.get("items"), definitions)
    is_within = _bounded(schema, _ITEMS)

    def fit(values: pa.ListArray) -> np.ndarray:
        item_counts = pc.list_value_length(values)
        is_fit = _present_within(is_within, item_counts)
        items = values.flatten()
        is_fit_item = check_items(items)
        is_wrong = ~is_fit_item
        wrong_lists = _lists_of(values, is_wrong)
        is_fit[wrong_lists] = False
        return is_fit

    return fit


def _lists_of(values: pa.ListArray, is_chosen: np.ndarray) -> np.ndarray:
    """Return the places of the lists that contain the chosen items."""
    item_lists = np.asarray(pc.list_parent_indices(values))
    lists: np.ndarray = item_lists[is_chosen]
    return lists


def _string(schema: Schema, _: Definitions) -> Check:
    _only(schema, "type", *_LENGTH)
    is_within = _bounded(schema, _LENGTH)
    return lambda values: _present_within(is_within, pc.utf8_length(values))


def _integer(schema: Schema, _: Definitions) -> Check:
    _only(schema, "type", *_BOUNDS)
    is_within = _bounded(schema, _BOUNDS)
    return lambda values: _present_within(is_within, values)


def _number(schema: Schema, _: Definitions) -> Check:
    _only(schema, "type", *_BOUNDS)
    is_within = _bounded(schema, _BOUNDS)

    def fit(values: pa.Array) -> np.ndarray:
        numbers = _numbers(values)
        is_fit = _is_present(values)
        is_fit &= _is_exact(numbers)
        is_fit &= is_within(numbers)
        return is_fit

    return fit


def _is_exact(numbers: np.ndarray) -> np.ndarray:
    """Tell which floats are the same value whether JSON wrote them whole or not: JSON's -0 is a whole number."""
    is_minus_zero = (numbers == 0) & np.signbit(numbers)
    is_exact: np.ndarray = (np.abs(numbers) < _WHOLE) & ~is_minus_zero
    return is_exact


def _boolean(schema: Schema, _: Definitions) -> Check:
    _only(schema, "type")
    return _is_present


_CHECKS: dict[Any, Callable[[Schema, Definitions], Check]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}


def _bounded(schema: Schema, rules: Mapping[str, Compare]) -> Check:
    """Find what checks numbers by those rules of a schema that are bounds."""
    bounds: list[Bound] = []
    for rule, compare in rules.items():
        if rule in schema:
            number = _exact_bound(schema[rule])
            bounds.append((compare, number))

    def is_within(numbers: np.ndarray) -> np.ndarray:
        is_kept = np.ones(len(numbers), dtype=bool)
        for compare, bound in bounds:
            is_kept &= compare(numbers, bound)
        return is_kept

    return is_within


def _exact_bound(bound: Any) -> float:
    """Return a bound that floats compare with exactly. Raises NoKernelError for another."""
    if type(bound) not in (int, float):
        raise NoKernelError
    if abs(bound) >= _WHOLE:
        raise NoKernelError
    number: float = bound
    return number


def _present_within(is_within: Check, values: pa.Array) -> np.ndarray:
    """Tell which numbers are not null and within bounds. A length is null where its text or list is."""
    numbers = _numbers(values)
    is_fit = _is_present(values)
    is_fit &= is_within(numbers)
    return is_fit


def _is_present(values: pa.Array) -> np.ndarray:
    """Tell which values are not null, in memory of our own."""
    return _mask(values.is_valid())


def _numbers(values: pa.Array) -> np.ndarray:
    numbers: np.ndarray = np.asarray(pc.fill_null(values, 0))
    return numbers


def _mask(truth_values: pa.Array) -> np.ndarray:
    """Read truth values, null as false, into memory of our own."""
    return np.array(pc.fill_null(truth_values, fill_value=False))
