"""Structured answers read in bulk: by Arrow's JSON reader, and checked by Arrow's kernels, without a Python object.

Only schemas whose rules have kernels are read so: objects and arrays of strings, integers, numbers and booleans, with
enums and bounds. What is accepted here is what msgspec and jsonschema accept, and as the same value. What is not
accepted here is not yet wrong: msgspec and jsonschema check it.
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
    def for_schema(cls, schema: Schema, kind: pa.DataType) -> Bulk | None:
        """Return a reader; None for a schema with a rule that has no kernel."""
        try:
            return cls(kind, _check(schema, definitions_of(schema)))
        except _NoKernelError:
            return None

    def parse(self, texts: pa.Array) -> Parsed | None:
        """Parse texts, unchecked; None where one of them does not fit the type. Does not hold Python's lock.

        Texts that begin and end as objects do are parsed in one go, a line each. Between two such texts, outside of an
        object, no JSON value can continue: so each text is one value if there are as many values as texts.
        """
        begins_object = pc.starts_with(texts, "{")
        is_object = pc.and_(begins_object, pc.ends_with(texts, "}"))
        all_objects = pc.all(is_object).as_py()
        object_texts = texts if all_objects else texts.filter(is_object)
        json_lines = _joined_lines(object_texts)
        parse_options = json.ParseOptions(
            explicit_schema=pa.schema(list(self.kind)),
            unexpected_field_behavior="error",
        )
        values = read(json_lines, parse_options)
        if values is None or len(values) != len(object_texts):
            return None
        if _has_nul(json_lines):  # the JSON reader stops there
            return None
        return Parsed(values, np.asarray(is_object))


def _joined_lines(texts: pa.Array) -> pa.Buffer:
    """Join texts to one, a line each."""
    list_offsets = pa.array([0, len(texts)], pa.int32())
    one_list = pa.ListArray.from_arrays(list_offsets, texts)
    joined_texts = pc.binary_join(one_list, "\n")
    return joined_texts[0].as_buffer()


def _has_nul(block: pa.Buffer) -> bool:
    return not np.frombuffer(block, np.uint8).all()


class _NoKernelError(Exception):
    """The schema has a rule that is not checked here."""


def _check(schema: Any, definitions: Definitions) -> Check:
    """Find what checks values of a schema. Raises _NoKernelError."""
    resolved_schema = resolve(schema, definitions)
    schema = _present(resolved_schema, definitions)
    literals = _literals(schema)
    if literals is not None:
        return _literal(schema, literals)
    named_type = schema.get("type")
    type_name = str(named_type)
    make_check = _CHECKS.get(type_name)
    if make_check is None:
        raise _NoKernelError
    return make_check(schema, definitions)


def _literals(schema: Schema) -> Any:
    """Return the only values that a schema allows; None where it does not list them."""
    if "enum" in schema:
        return schema["enum"]
    return [schema["const"]] if "const" in schema else None


def _present(schema: Any, definitions: Definitions) -> Schema:
    """Return the schema of values that are not null."""
    if not isinstance(schema, Mapping):
        raise _NoKernelError
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
    """Return the one variant that is not null. Raises _NoKernelError where there is not exactly one."""
    present_variants = [variant for variant in variants if variant != null_variant]
    if len(present_variants) != 1:
        raise _NoKernelError
    return present_variants[0]


def _only(schema: Schema, *keywords: str) -> None:
    """Raise _NoKernelError where a schema has rules beyond these keywords."""
    rules = schema.keys() - _ANNOTATIONS
    if rules - set(keywords):
        raise _NoKernelError


def _literal(schema: Schema, literals: list[Any]) -> Check:
    """Find what checks that values are among the literals, which may name null too."""
    _only(schema, "type", "enum", "const")
    if "enum" in schema and "const" in schema:
        raise _NoKernelError
    present_literals = [value for value in literals if value is not None]
    type_name = _type_of(present_literals)
    named_type = schema.get("type", type_name)
    if named_type != type_name:
        raise _NoKernelError
    allowed_values = pa.array(present_literals)

    def fit(values: pa.Array) -> np.ndarray:
        is_allowed = pc.is_in(values, value_set=allowed_values)
        is_fit = pc.and_(values.is_valid(), is_allowed)
        return _mask(is_fit)

    return fit


def _type_of(literals: list[Any]) -> str:
    """Return the JSON type of all literals. Raises _NoKernelError where there is not one that can be compared."""
    python_types = {type(value) for value in literals}
    if len(python_types) != 1:
        raise _NoKernelError
    type_name = _KINDS.get(python_types.pop())
    if type_name is None:
        raise _NoKernelError
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
        raise _NoKernelError
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
    """Return a bound that floats compare with exactly. Raises _NoKernelError for another."""
    if type(bound) not in (int, float):
        raise _NoKernelError
    if abs(bound) >= _WHOLE:
        raise _NoKernelError
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
