"""The answer type: a JSON schema becomes Arrow columns, and a model's text becomes a value of them, or a reason.

Without a schema the answer is one text column. A part of the schema that has no one Arrow type (a union of a string
and an object, say) becomes a string column that holds JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

import jsonschema_rs
import msgspec
import pyarrow as pa

from nightbatch.core.errors import AnswerTypeError
from nightbatch.core.schema import api_schema, resolve

Shape = Callable[[Any], Any] | None
_SCALARS = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
_decoder = msgspec.json.Decoder()
_UNFIT = (pa.ArrowException, OverflowError, ValueError, TypeError)


@dataclass(frozen=True)
class AnswerType:
    """What a row's answer looks like: one text, or the properties of a schema."""

    schema: Mapping[str, Any] | None = None

    @cached_property
    def api_schema(self) -> dict[str, Any] | None:
        """The schema that goes on the wire; None for a text."""
        return None if self.schema is None else api_schema(self.schema)

    @cached_property
    def arrow(self) -> pa.DataType:
        """The Arrow type of an answer: `string`, or a struct with a field for each property."""
        return pa.string() if self.schema is None else self._typed[0]

    def check(self) -> None:
        """Raise AnswerTypeError for a schema that the API would refuse, or that no answer could be checked against."""
        if self.schema is not None:
            _ = self.api_schema, self.arrow, self._validator

    @property
    def fields(self) -> list[pa.Field]:
        """The output columns, all nullable, in the schema's order."""
        if self.schema is None:
            return [pa.field("answer", pa.string())]
        return [self.arrow.field(i) for i in range(self.arrow.num_fields)]

    def read(self, text: str) -> tuple[Any, str | None]:
        """Return the value of a model's text and None, or None and why it is not an answer."""
        if self.schema is None:
            return (text, None) if text else (None, "the message holds no text")
        try:
            value = _decoder.decode(text)
        except msgspec.DecodeError as error:
            return None, f"not JSON: {error}"
        except RecursionError:
            return None, "not JSON: nested too deeply"
        try:
            return (value, None) if self._validator.is_valid(value) else (None, self._why(value))
        except (ValueError, OverflowError, RecursionError) as error:
            return None, f"the schema cannot be checked: {type(error).__name__}"

    def read_all(self, texts: Sequence[str]) -> tuple[pa.Array, list[int]]:
        """Read many texts at once: their values, null where `read` must say what is wrong; and where that is."""
        if self.schema is None:
            return pa.array(texts, pa.string()), [place for place, text in enumerate(texts) if not text]
        decode, is_valid = _decoder.decode, self._validator.is_valid
        try:
            values = [decode(text) for text in texts]
            wrong = [place for place, value in enumerate(values) if not is_valid(value)]
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
            read = [self.read(text) for text in texts]
            values = [value for value, _ in read]
            wrong = [place for place, (_, why) in enumerate(read) if why is not None]
        for place in wrong:
            values[place] = None
        array, unfit = self.columns(values)
        return array, sorted({*wrong, *unfit})

    def columns(self, values: Sequence[Any]) -> tuple[pa.Array, list[int]]:
        """Turn values that `read` returned into an Arrow array; also the positions that do not fit its types."""
        if self.schema is None:
            return pa.array(values, pa.string()), []
        try:
            return self._array(values), []
        except _UNFIT:
            unfit = [i for i, value in enumerate(values) if not self._fits(value)]
            kept = [None if i in set(unfit) else value for i, value in enumerate(values)]
            return self._array(kept), unfit

    def _fits(self, value: Any) -> bool:
        try:
            self._array([value])
        except _UNFIT:
            return False
        return True

    def _array(self, values: Sequence[Any]) -> pa.Array:
        kind, shape = self._typed
        shaped = values if shape is None else [shape(value) for value in values]
        return pa.array(shaped, kind)

    def _why(self, value: Any) -> str:
        """Name the place and the rule, never the value."""
        error = next(iter(self._validator.iter_errors(value)))
        place = ".".join(str(step) for step in error.instance_path) or "the answer"
        rule = error.schema_path[-1] if error.schema_path else "schema"
        return f"{place} breaks the schema's rule: {rule}"

    @cached_property
    def _typed(self) -> tuple[pa.DataType, Shape]:
        schema = self.schema or {}
        definitions = schema.get("$defs") or schema.get("definitions") or {}
        return _arrow(schema, definitions)

    @cached_property
    def _validator(self) -> Any:
        try:
            return jsonschema_rs.validator_for(dict(self.schema or {}), validate_formats=True)
        except (ValueError, jsonschema_rs.ValidationError) as error:
            told = str(error).splitlines()[0]
            raise AnswerTypeError(f"answer_schema: not a valid JSON schema: {told}. Mend it.") from None


def _arrow(schema: Any, definitions: Mapping[str, Any]) -> tuple[pa.DataType, Shape]:
    """Find the Arrow type of a schema, and what shapes a value for it (None: nothing to do)."""
    schema = resolve(schema, definitions)
    for part in schema.get("allOf") or ():
        schema = {**resolve(part, definitions), **{k: v for k, v in schema.items() if k != "allOf"}}
    variants = schema.get("anyOf") or schema.get("oneOf")
    if variants is None and isinstance(schema.get("type"), list):
        variants = [{**schema, "type": kind} for kind in schema["type"]]
    if variants is not None:
        return _union([resolve(v, definitions) for v in variants], definitions)
    literals = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if literals is not None:
        return _literal(literals)
    kind = schema.get("type")
    if kind == "object" and schema.get("properties"):
        return _struct(schema["properties"], definitions)
    if kind == "array":
        item, shape = _arrow(schema["items"], definitions)
        return pa.list_(item), shape and (lambda values: [None if v is None else shape(v) for v in values])
    if kind == "string":
        return _formats().get(schema.get("format"), (pa.string(), None))
    return (_SCALARS[kind], None) if kind in _SCALARS else (pa.string(), _as_json)


def _struct(properties: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[pa.DataType, Shape]:
    typed = {name: _arrow(part, definitions) for name, part in properties.items()}
    shapes = {name: shape for name, (_, shape) in typed.items() if shape is not None}

    def shape_fields(value: Any) -> Any:
        changed = {n: shape(value[n]) for n, shape in shapes.items() if value.get(n) is not None}
        return {**value, **changed}

    kind = pa.struct([pa.field(name, t) for name, (t, _) in typed.items()])
    return kind, (lambda v: v if v is None else shape_fields(v)) if shapes else None


def _union(variants: Sequence[Mapping[str, Any]], definitions: Mapping[str, Any]) -> tuple[pa.DataType, Shape]:
    present = [v for v in variants if v.get("type") != "null" and v.get("const", 0) is not None]
    typed = [_arrow(variant, definitions) for variant in present]
    kinds = {kind for kind, _ in typed}
    if len(kinds) == 1:
        return typed[0]
    if kinds == {pa.int64(), pa.float64()}:
        return pa.float64(), None
    return pa.string(), _as_json


def _literal(values: Sequence[Any]) -> tuple[pa.DataType, Shape]:
    types = {type(value) for value in values if value is not None}
    for candidates, kind in (
        ({str}, pa.string()),
        ({bool}, pa.bool_()),
        ({int}, pa.int64()),
        ({int, float}, pa.float64()),
    ):
        if types and types <= candidates:
            return kind, None
    return pa.string(), _as_json


def _formats() -> dict[Any, tuple[pa.DataType, Shape]]:
    return {
        "date": (pa.date32(), lambda text: text and date.fromisoformat(text)),
        "date-time": (pa.timestamp("us", "UTC"), lambda text: text and datetime.fromisoformat(text).astimezone(UTC)),
    }


def _as_json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
