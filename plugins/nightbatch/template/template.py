"""Prompt templates: column values are variables of a Jinja template, never templates themselves.

A template of plain substitutions is joined column by column in Arrow; any other is rendered by MiniJinja
(`rendering`). Both print a value with `display`, so they give equal bytes. A null prints as nothing, a number that is
whole without a fraction (MiniJinja knows no difference between 1 and 1.0).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import minijinja
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.errors import TemplateError
from nightbatch.template import media
from nightbatch.template.rendering import (
    TEMPLATE_BYTES,
    Compiled,
    display,
    environment,
    values_of,
)

_PLAIN = re.compile(r"\{\{-?\s*([A-Za-z_]\w*)\s*-?\}\}")
_MARKUP = re.compile(r"\{\{|\{%|\{#")
_TRIMMED = re.compile(r"\{\{-|-\}\}")
_FUNCTIONS = {"range", "dict", "namespace", "cycler", "joiner"}


@dataclass(frozen=True)
class Template:
    """A user prompt over the columns of a row."""

    text: str

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Name the columns that the template reads, sorted."""
        template_bytes = len(self.text.encode(errors="surrogatepass"))
        if template_bytes > TEMPLATE_BYTES:
            raise TemplateError(
                f"prompt: the template has {template_bytes:,} bytes; at most {TEMPLATE_BYTES:,} are allowed."
            )
        try:
            variable_names = environment().undeclared_variables_in_str(self._compiled)
        except minijinja.TemplateError as error:
            problem = _first_line(error)
        else:
            own_names = variable_names - set(media.KINDS.values())
            column_names = [name for name in own_names if not self._calls(name)]
            return tuple(sorted(column_names))
        raise TemplateError(f"prompt: {problem}. Fix the template.")

    @cached_property
    def _compiled(self) -> str:
        return media.compiled(self.text)

    @property
    def has_media(self) -> bool:
        """Tell whether rows may have images or documents: then `cut` renders them."""
        return self._compiled != self.text

    def _calls(self, name: str) -> bool:
        """Tell `range(3)`, which calls one of Jinja's functions, from a column `range`."""
        if name not in _FUNCTIONS:
            return False
        return re.search(rf"\b{name}\s*\(", self.text) is not None

    def check(self, schema: pa.Schema) -> None:
        """Refuse columns that are not there or that cannot be printed."""
        if missing := [name for name in self.columns if name not in schema.names]:
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
        return Compiled(self._compiled, self.columns)

    def render(self, rows: pa.RecordBatch) -> pa.Array:
        """Render one prompt (large_string) for each row. Raises UnicodeError where text is not valid UTF-8."""
        if self._pieces is None:
            texts = self._renderer.texts(rows)
            return pa.array(texts, pa.large_string(), size=rows.num_rows)
        prompts = self._join(self._pieces, rows)
        try:
            prompts.validate(full=True)
        except pa.ArrowInvalid:
            raise UnicodeError from None
        return prompts

    @cached_property
    def _pieces(self) -> list[str] | None:
        """Literals and column names in turn, if the template has only plain substitutions."""
        other_text = _PLAIN.sub("", self.text)
        if _TRIMMED.search(self.text) or _MARKUP.search(other_text):
            return None
        pieces = _PLAIN.split(self.text)
        column_names = set(pieces[1::2])
        return pieces if column_names <= set(self.columns) else None

    def _join(self, pieces: Sequence[str], rows: pa.RecordBatch) -> pa.Array:
        if len(pieces) == 1:
            return pa.repeat(_large_string(pieces[0]), rows.num_rows)
        parts = list[Any]()
        for place, piece in enumerate(pieces):
            is_column = place % 2 == 1
            part = printed(rows.column(piece)) if is_column else _large_string(piece)
            parts.append(part)
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
        return pa.array([""] * len(column), pa.large_string())
    if _is_text(kind) or pa.types.is_integer(kind):
        texts = column.cast(kind).cast(pa.large_string())
        return pc.fill_null(texts, "")
    displayed_values = [display(value) for value in values_of(column)]
    return pa.array(displayed_values, pa.large_string())


def _large_string(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def _first_line(error: minijinja.TemplateError) -> str:
    first_line = str(error).splitlines()[0]
    named_line = first_line.replace("<string>", "the template")
    return named_line.replace("in prompt:", "at line ")


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
