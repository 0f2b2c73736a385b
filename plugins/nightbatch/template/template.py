"""Prompt templates: column values are variables of a Jinja template, never templates themselves.

A template of plain substitutions is joined column by column in Arrow; any other is rendered by Jinja (`rendering`).
Both print a value with `display`, so they give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.errors import TemplateError
from nightbatch.template import media
from nightbatch.template.language import syntax
from nightbatch.template.language.printing import display
from nightbatch.template.rendering import Compiled, seen_values, values_of


@dataclass(frozen=True)
class Template:
    """A user prompt over the columns of a row."""

    text: str

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Name the columns that the template reads, sorted. Raises TemplateError where it is not well formed."""
        if self.pieces is None:
            return self.program.columns
        return tuple(sorted(set(self.pieces[1::2])))

    @cached_property
    def pieces(self) -> list[str] | None:
        """Literals and column names in turn, if the template has only plain substitutions."""
        return syntax.plain_pieces(self.text)

    @cached_property
    def program(self) -> syntax.Program:
        """The template as Jinja reads it. Raises TemplateError where it is not well formed."""
        return syntax.read(self.text)

    @property
    def has_media(self) -> bool:
        """Tell whether rows may have images or documents: then `cut` renders them."""
        return self.pieces is None and self.program.has_media

    def check_syntax(self) -> None:
        """Refuse a template that is not well formed, whatever the rows."""
        _ = self.columns

    def check(self, schema: pa.Schema) -> None:
        """Refuse columns that are not there or that cannot be printed."""
        missing = [name for name in self.columns if name not in schema.names]
        if missing:
            raise TemplateError(
                f"prompt: the template names {_listed(missing)}, but the source has no such column. "
                f"It has: {_listed(schema.names)}."
            )
        for name in self.columns:
            column_type = schema.field(name).type
            if _is_binary(column_type) and not self.has_media:
                raise TemplateError(
                    f"prompt: column {name!r} is {column_type}: it cannot be printed as text. "
                    f"Write image({name}) or document({name}) if that is what it holds."
                )

    @cached_property
    def _renderer(self) -> Compiled:
        return Compiled(self.program)

    def render(self, rows: pa.RecordBatch) -> pa.Array:
        """Render one prompt (large_string) for each row. Raises UnicodeError where text is not valid UTF-8."""
        if self.pieces is None:
            texts = self._renderer.texts(rows)
            row_count = rows.num_rows
            return pa.array(texts, pa.large_string(), size=row_count)
        prompts = self._join(self.pieces, rows)
        try:
            prompts.validate(full=True)
        except pa.ArrowInvalid:
            raise UnicodeError from None
        return prompts

    def _join(self, pieces: Sequence[str], rows: pa.RecordBatch) -> pa.Array:
        if len(pieces) == 1:
            only_text = _large_string(pieces[0])
            return pa.repeat(only_text, rows.num_rows)
        parts = list[Any]()
        for place, piece in enumerate(pieces):
            is_column = place % 2 == 1
            if is_column:
                column = rows.column(piece)
                parts.append(printed(column))
            else:
                parts.append(_large_string(piece))
        separator = _large_string("")
        return pc.binary_join_element_wise(*parts, separator)

    def cut(self, rows: pa.RecordBatch) -> list[list[str | media.Piece]]:
        """Render one prompt for each row, as texts, images and documents in turn."""
        return list(self._renderer.cuts(rows))


def printed(column: pa.Array) -> pa.Array:
    """Print a whole column; text stays in Arrow."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind):
        no_texts = [""] * len(column)
        return pa.array(no_texts, pa.large_string())
    if _is_text(kind) or pa.types.is_integer(kind):
        texts = column.cast(kind).cast(pa.large_string())
        return pc.fill_null(texts, "")
    displayed_values = [display(value) for value in _printable_values(column, kind)]
    return pa.array(displayed_values, pa.large_string())


def _printable_values(column: pa.Array, kind: pa.DataType) -> list[Any]:
    if pa.types.is_nested(kind):
        return seen_values(column)
    return values_of(column)


def _large_string(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
    )


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _listed(names: Sequence[str]) -> str:
    shown_names = ", ".join(repr(name) for name in names[:40])
    hidden_count = len(names) - 40
    return f"{shown_names} and {hidden_count} more" if hidden_count > 0 else shown_names
