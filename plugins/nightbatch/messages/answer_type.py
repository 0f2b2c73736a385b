"""The answer type: a JSON schema becomes Arrow columns, and a model's text becomes a value of them, or a reason.

Without a schema the answer is one text column. Many texts are read at once: in bulk by Arrow where it reads as msgspec
and jsonschema do, and otherwise by these two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jsonschema_rs
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.times import is_date_time, is_time
from nightbatch.errors import AnswerTypeError
from nightbatch.messages.arrow_types import Shape, arrow_type
from nightbatch.messages.bulk.answers import Bulk, Parsed
from nightbatch.messages.local_schema import local
from nightbatch.messages.schema import api_schema, definitions_of

_decoder = msgspec.json.Decoder()
MAX_REASON = 300
"""Characters of a validator's message that are repeated: it quotes the schema, which may be long."""
_FORMATS = {"date-time": is_date_time, "time": is_time}
"""What is read of these formats is more than RFC 3339 allows."""
_UNFIT = (pa.ArrowException, OverflowError, ValueError, TypeError)


class Answers(NamedTuple):
    """A value for each of many texts, and which of the texts are answers: the values of the others mean nothing."""

    values: pa.Array
    is_answer: np.ndarray


@dataclass(frozen=True)
class AnswerType:
    """What a row's answer looks like: one text, or the properties of a schema."""

    schema: Mapping[str, Any] | None = None

    @cached_property
    def api_schema(self) -> dict[str, Any] | None:
        """The schema that goes on the wire; None for a text."""
        return None if self.schema is None else api_schema(self._local)

    @cached_property
    def arrow(self) -> pa.DataType:
        """The Arrow type of an answer: `string`, or a struct with a field for each property."""
        return pa.string() if self.schema is None else self._typed[0]

    def check(self) -> None:
        """Raise AnswerTypeError for a schema that the API would refuse, or that no answer could be checked against."""
        if self.schema is not None:
            _ = self._validator  # first: the others need a valid schema
            _ = self.api_schema
            _ = self.arrow

    @property
    def fields(self) -> list[pa.Field]:
        """The output columns, all nullable, in the schema's order."""
        if self.schema is None:
            return [pa.field("answer", pa.string())]
        return list(self.arrow)

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
            if self._validator.is_valid(value):
                return value, None
            return None, self._broken_rule(value)
        except (ValueError, OverflowError, RecursionError) as error:
            return None, f"the schema cannot be checked: {type(error).__name__}"

    def parse(self, texts: pa.Array) -> Parsed | None:
        """Parse many texts ahead of `read_all`, as far as Python is not needed: another thread may do this."""
        return self._bulk.parse(texts) if self._bulk is not None else None

    def read_all(self, texts: pa.Array, parsed: Parsed | None) -> Answers:
        """Read many texts at once: their values, and which of them are answers; `read` says what the others are."""
        if self.schema is None:
            return _texts_as_answers(texts)
        bulk = self._bulk
        if parsed is None or bulk is None:
            return self._read_each(texts.to_pylist())
        is_fit = bulk.fit(parsed.values)
        if len(is_fit) == len(texts) and is_fit.all():
            return Answers(parsed.values, is_fit)
        in_bulk = parsed.which.copy()
        in_bulk[in_bulk] = is_fit
        bulk_values = parsed.values.filter(pa.array(is_fit))
        return self._read_others(texts, bulk_values, in_bulk)

    def _read_others(
        self, texts: pa.Array, bulk_values: pa.Array, in_bulk: np.ndarray
    ) -> Answers:
        """Read the texts that were not read in bulk; return all values and which texts are answers."""
        is_other = ~in_bulk
        other_texts = texts.filter(pa.array(is_other))
        others = self._read_each(other_texts.to_pylist())
        values = pa.concat_arrays([bulk_values, others.values])
        text_order = _text_order(in_bulk)
        is_answer = in_bulk.copy()
        is_answer[is_other] = others.is_answer
        return Answers(values.take(text_order), is_answer)

    def _read_each(self, texts: Sequence[str]) -> Answers:
        values, is_answer = self._decode_each(texts)
        answers = [
            value if is_valid else None
            for value, is_valid in zip(values, is_answer, strict=True)
        ]
        column, unfit_places = self.columns(answers)
        is_answer[unfit_places] = False
        return Answers(column, is_answer)

    def _decode_each(self, texts: Sequence[str]) -> tuple[list[Any], np.ndarray]:
        """Decode texts one by one: their values, and which of them are valid."""
        decode = _decoder.decode
        is_valid = self._validator.is_valid
        is_answer = np.ones(len(texts), dtype=bool)
        try:
            values = [decode(text) for text in texts]
            for place, value in enumerate(values):
                if not is_valid(value):
                    is_answer[place] = False
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
            results = [self.read(text) for text in texts]
            values = [value for value, _ in results]
            is_answer[:] = [reason is None for _, reason in results]
        return values, is_answer

    def columns(self, values: Sequence[Any]) -> tuple[pa.Array, list[int]]:
        """Turn values that `read` returned into an Arrow array; also the positions that do not fit its types."""
        if self.schema is None:
            return pa.array(values, pa.string()), []
        try:
            return self._array(values), []
        except _UNFIT:
            fitting_values = list(values)
            unfit_places = list[int]()
            for place, value in enumerate(values):
                if not self._fits(value):
                    fitting_values[place] = None
                    unfit_places.append(place)
            return self._array(fitting_values), unfit_places

    def _fits(self, value: Any) -> bool:
        try:
            self._array([value])
        except _UNFIT:
            return False
        return True

    def _array(self, values: Sequence[Any]) -> pa.Array:
        kind, shape = self._typed
        shaped_values = values if shape is None else [shape(value) for value in values]
        return pa.array(shaped_values, kind)

    def _broken_rule(self, value: Any) -> str:
        """Name the first rule that a value breaks, and the place in it: never the value."""
        all_errors = self._validator.iter_errors(value)
        first_error = next(iter(all_errors))
        steps = [str(step) for step in first_error.instance_path]
        place = ".".join(steps) or "the answer"
        schema_path = first_error.schema_path
        rule = schema_path[-1] if schema_path else "schema"
        return f"{place} breaks the schema's rule: {rule}"

    @cached_property
    def _typed(self) -> tuple[pa.DataType, Shape]:
        return arrow_type(self._local, definitions_of(self._local))

    @cached_property
    def _local(self) -> dict[str, Any]:
        """The schema, which refers to nothing outside itself."""
        return local(self.schema or {})

    @cached_property
    def _bulk(self) -> Bulk | None:
        return None if self.schema is None else Bulk.for_schema(self.schema, self.arrow)

    @cached_property
    def _validator(self) -> Any:
        try:
            return jsonschema_rs.Draft202012Validator(
                self._local,
                validate_formats=True,
                formats=_FORMATS,
                retriever=_fetch_nothing,
            )
        except (ValueError, jsonschema_rs.ValidationError) as error:
            first_line = str(error).splitlines()[0]
            reason = first_line[:MAX_REASON]
            raise AnswerTypeError(
                f"answer_schema: not a valid JSON schema: {reason}. Fix it."
            ) from None


def _texts_as_answers(texts: pa.Array) -> Answers:
    """Take texts as they are; one that is empty is no answer."""
    text_lengths = pc.binary_length(texts)
    has_text = pc.greater(text_lengths, 0)
    return Answers(texts, np.asarray(has_text))


def _text_order(in_bulk: np.ndarray) -> pa.Array:
    """Return the order that puts values, first those read in bulk and then the others, at the places of their texts."""
    bulk_places = np.flatnonzero(in_bulk)
    other_places = np.flatnonzero(~in_bulk)
    text_places = np.concatenate([bulk_places, other_places])
    return pa.array(np.argsort(text_places))


def _fetch_nothing(_: str) -> Any:
    raise ValueError("a schema may refer to nothing outside itself")
