"""Rendering with Jinja: a template with logic, over rows whose values it sees as `template/values.py` says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from itertools import repeat
from typing import Any

import pyarrow as pa
from jinja2.runtime import Context

from nightbatch.columnar.utf8 import values as plain_values
from nightbatch.errors import TemplateError
from nightbatch.template import media
from nightbatch.template.language.failures import described
from nightbatch.template.language.printing import whole
from nightbatch.template.language.syntax import MEDIA, Program, language
from nightbatch.template.values import Fields, Items, seen

_FRACTIONS = re.compile(r"double|float|decimal")


class Compiled:
    """A template to render; its rows are counted, for errors, from the first one that it renders.

    `before_row` is called before each row.
    """

    def __init__(
        self, program: Program, before_row: Callable[[], None] = lambda: None
    ) -> None:
        self._program = program
        self._before_row = before_row
        self._rows = 0
        self._cutter = media.Cutter()
        environment = language()
        functions = {
            name: partial(self._cutter.take, kind) for kind, name in MEDIA.items()
        }
        template_globals = environment.make_globals(functions)
        self._template = environment.template_class.from_code(
            environment, program.bytecode, template_globals
        )
        self._shared_context = self._template.new_context()
        self._functions = dict(self._template.globals)

    def _context(self, variables: Mapping[str, Any]) -> Context:
        """Return the variables of a row, in an object that all rows share: making one takes longer than most rows."""
        context = self._shared_context
        context.parent = {**self._functions, **variables}
        context.vars = {}
        context.exported_vars = set()
        return context

    def texts(self, rows: pa.RecordBatch) -> Iterator[str]:
        """Render one text for each row."""
        names = self._program.columns
        columns = [seen_values(rows.column(name)) for name in names]
        no_cells = repeat((), rows.num_rows)
        row_cells = zip(*columns, strict=True) if columns else no_cells
        template = self._template
        problem = ""
        for cells in row_cells:
            self._rows += 1
            try:
                self._before_row()
                variables = dict(zip(names, cells, strict=True))
                context = self._context(variables)
                text = "".join(template.root_render_func(context))
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # a time limit is no Exception
                problem = described(error, self._program, self._rows)
                break
            yield text
        if problem:
            raise TemplateError(problem)

    def cuts(self, rows: pa.RecordBatch) -> Iterator[list[str | media.Piece]]:
        """Render each row as texts, images and documents in turn."""
        return map(self._cutter.cut, self.texts(rows))


def values_of(column: pa.Array) -> list[Any]:
    """Return a column's values; numbers that are whole are integers, and there are no decimals."""
    values = plain_values(column)
    may_hold_fractions = _FRACTIONS.search(str(column.type))
    if not may_hold_fractions:
        return values
    return [_number(value) for value in values]


def seen_values(column: pa.Array) -> list[Any]:
    """Return a column's values as a template sees them."""
    values = values_of(column)
    kind = column.type
    if _is_plain(kind):
        return values
    container = _container_of_plain(kind)
    if container is None:
        return list(map(seen, values))
    return [None if value is None else container(value) for value in values]


def _container_of_plain(kind: pa.DataType) -> type | None:
    """Return what holds a value of a list or struct whose own values are all plain; None for other types."""
    if pa.types.is_list(kind) and _is_plain(kind.value_type):
        return Items
    if pa.types.is_struct(kind) and all(_is_plain(field.type) for field in kind):
        return Fields
    return None


def _is_plain(kind: pa.DataType) -> bool:
    """Tell whether a template sees the values of a type as they are."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(pa.types.is_boolean(kind) or is_number or is_text)


def _number(value: Any) -> Any:
    """Return a number as it is printed, without loss; also inside lists and structs.

    A float or decimal that is whole becomes an integer; any other decimal a float, or text if it has too many digits.
    """
    match value:
        case float():
            return whole(value)
        case Decimal():
            if value == value.to_integral_value():
                return int(value)
            nearest_float = float(value)
            is_exact = Decimal(repr(nearest_float)) == value
            return nearest_float if is_exact else str(value)
        case list():
            return [_number(item) for item in value]
        case dict():
            return {name: _number(item) for name, item in value.items()}
        case _:
            return value
