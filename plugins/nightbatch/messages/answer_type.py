"""The answer type: a JSON schema becomes Arrow columns, and a model's text becomes a value of them, or a reason.

Without a schema the answer is one text column. Many texts are read at once: in bulk by Arrow where it reads as msgspec
and jsonschema do, and by these two otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jsonschema_rs
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.errors import AnswerTypeError
from nightbatch.messages.answer_bulk import Bulk, Parsed
from nightbatch.messages.arrow_types import Shape, arrow_type
from nightbatch.messages.local_schema import local
from nightbatch.messages.schema import api_schema, definitions_of

_decoder = msgspec.json.Decoder()
MAX_REASON = 300
"""Characters of a validator's words that are repeated: they quote the schema, which may be long."""
_UNFIT = (pa.ArrowException, OverflowError, ValueError, TypeError)


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
            _ = self._validator  # first: what is no valid schema has no parts of which the others could speak
            _ = self.api_schema, self.arrow

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
            return (
                (value, None)
                if self._validator.is_valid(value)
                else (None, self._why(value))
            )
        except (ValueError, OverflowError, RecursionError) as error:
            return None, f"the schema cannot be checked: {type(error).__name__}"

    def parse(self, texts: pa.Array) -> Parsed | None:
        """Parse many texts ahead of `read_all`, as far as Python is not needed: this may go on in a thread beside."""
        return self._bulk.parse(texts) if self._bulk is not None else None

    def read_all(
        self, texts: pa.Array, parsed: Parsed | None
    ) -> tuple[pa.Array, np.ndarray]:
        """Read many texts at once: their values, and which of them are answers; `read` says what the others are."""
        if self.schema is None:
            return texts, np.asarray(pc.greater(pc.binary_length(texts), 0))
        if parsed is None or self._bulk is None:
            return self._read_each(texts.to_pylist())
        fit = self._bulk.fit(parsed.values)
        if len(fit) == len(texts) and fit.all():
            return parsed.values, fit
        in_bulk = parsed.which.copy()
        in_bulk[in_bulk] = fit
        rest, answers = self._read_each(texts.filter(pa.array(~in_bulk)).to_pylist())
        values = pa.concat_arrays([parsed.values.filter(pa.array(fit)), rest])
        order = np.argsort(
            np.concatenate([np.flatnonzero(in_bulk), np.flatnonzero(~in_bulk)])
        )
        in_bulk[~in_bulk] = answers
        return values.take(pa.array(order)), in_bulk

    def _read_each(self, texts: Sequence[str]) -> tuple[pa.Array, np.ndarray]:
        decode, is_valid = _decoder.decode, self._validator.is_valid
        answers = np.ones(len(texts), dtype=bool)
        try:
            values = [decode(text) for text in texts]
            answers[
                [place for place, value in enumerate(values) if not is_valid(value)]
            ] = False
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
            read = [self.read(text) for text in texts]
            values = [value for value, _ in read]
            answers[:] = [why is None for _, why in read]
        array, unfit = self.columns(
            [
                value if good else None
                for value, good in zip(values, answers, strict=True)
            ]
        )
        answers[unfit] = False
        return array, answers

    def columns(self, values: Sequence[Any]) -> tuple[pa.Array, list[int]]:
        """Turn values that `read` returned into an Arrow array; also the positions that do not fit its types."""
        if self.schema is None:
            return pa.array(values, pa.string()), []
        try:
            return self._array(values), []
        except _UNFIT:
            unfit = [i for i, value in enumerate(values) if not self._fits(value)]
            kept = [
                None if i in set(unfit) else value for i, value in enumerate(values)
            ]
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
        return arrow_type(self._local, definitions_of(self._local))

    @cached_property
    def _local(self) -> dict[str, Any]:
        """The schema, which refers to nothing outside itself."""
        return local(self.schema or {})

    @cached_property
    def _bulk(self) -> Bulk | None:
        return None if self.schema is None else Bulk.of(self.schema, self.arrow)

    @cached_property
    def _validator(self) -> Any:
        try:
            return jsonschema_rs.Draft202012Validator(
                self._local, validate_formats=True, retriever=_fetch_nothing
            )
        except (ValueError, jsonschema_rs.ValidationError) as error:
            reason = str(error).splitlines()[0][:MAX_REASON]
            raise AnswerTypeError(
                f"answer_schema: not a valid JSON schema: {reason}. Fix it."
            ) from None


def _fetch_nothing(_: str) -> Any:
    raise ValueError("a schema may refer to nothing outside itself")
