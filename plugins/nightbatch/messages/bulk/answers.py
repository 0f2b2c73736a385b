"""Structured answers read in bulk: by Arrow's JSON reader, without a Python object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json

from nightbatch.columnar.json_blocks import read
from nightbatch.messages.bulk.checks import Check, NoKernelError, check_for
from nightbatch.messages.schema import Schema


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
            return cls(kind, check_for(schema))
        except NoKernelError:
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
