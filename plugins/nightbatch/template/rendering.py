"""Rendering with MiniJinja: a template with logic, over rows whose values it sees as `template/values.py` says.

Fuel limits the steps of a row, and always stops at the same step. It does not count text that doubles: a process with
limits does (`template/limited.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from itertools import repeat
from typing import Any

import minijinja
import msgspec
import pyarrow as pa

from nightbatch.columnar.utf8 import values as plain_values
from nightbatch.errors import TemplateError
from nightbatch.template import media
from nightbatch.template.values import (
    Day,
    DayAndTime,
    Fields,
    Items,
    NoClock,
    printable,
    seen_column,
)

FUEL = 10_000_000
"""Steps of MiniJinja for one row: a loop over 10,000 items takes some 300,000; all of them take a second or two."""
TEMPLATE_BYTES = 1_000_000
BINARY = "a binary value is used outside image(…) and document(…)"
_FRACTIONS = re.compile(r"double|float|decimal")
_AFTER_BAR = re.compile(rb"\|\s*$")
_FILTER_NAME = re.compile(rb"[a-z_]*")


class Compiled:
    """A template to render; its rows are counted, for errors, from the first one that it renders."""

    def __init__(self, text: str, columns: Sequence[str]) -> None:
        self._text = text
        self._columns = columns
        self._rows = 0
        self._cutter = media.Cutter()
        self._environment = environment(FUEL)
        for kind, name in media.KINDS.items():
            self._environment.add_global(name, partial(self._cutter.take, kind))
        try:
            self._environment.add_template("prompt", text)
        except minijinja.TemplateError as error:
            problem = self._problem(error)
        else:
            return
        raise TemplateError(f"prompt: {problem}. Fix the template.")

    def texts(self, rows: pa.RecordBatch) -> Iterator[str]:
        """Render one text for each row."""
        columns = [_values(rows.column(name)) for name in self._columns]
        no_cells = repeat((), rows.num_rows)
        row_cells = zip(*columns, strict=True) if columns else no_cells
        render = self._environment.render_template
        problem = ""
        for cells in row_cells:
            self._rows += 1
            variables = dict(zip(self._columns, cells, strict=True))
            try:
                text = render("prompt", **variables)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # a panic of MiniJinja is not an Exception
                problem = self._problem(error)
                break
            yield text
        if problem:
            raise TemplateError(
                f"prompt: {problem}, in row {self._rows:,} of the partition."
            )

    def cuts(self, rows: pa.RecordBatch) -> Iterator[list[str | media.Piece]]:
        """Render each row as texts, images and documents in turn."""
        return map(self._cutter.cut, self.texts(rows))

    def _problem(self, error: BaseException) -> str:
        """Say what went wrong and where in the template, without the error's message, which may quote a value."""
        if isinstance(error, minijinja.TemplateError):
            is_out_of_fuel = error.kind == "OutOfFuel"
            out_of_fuel = f"it takes more than {FUEL:,} steps"
            kind = out_of_fuel if is_out_of_fuel else error.kind
            filter_name = self._filter(error.range) if error.range else ""
            line = f" at line {error.line} of the template" if error.line else ""
            return f"{kind}{filter_name}{line}"
        if str(error) == BINARY:
            return BINARY
        return f"a value cannot be used like this ({type(error).__name__})"

    def _filter(self, span: tuple[int, int]) -> str:
        """Name the filter at a place of the template; empty where there is none."""
        start, _ = span
        source = self._text.encode()
        if not _AFTER_BAR.search(source[:start]):
            return ""
        name_match = _FILTER_NAME.match(source[start:])
        filter_name = name_match[0].decode() if name_match else ""
        return f" of filter {filter_name!r}"


def environment(fuel: int | None = None) -> minijinja.Environment:
    """Make an environment in which a value is printed with `display`, and never escaped."""
    minijinja_environment = minijinja.Environment(
        keep_trailing_newline=True,
        undefined_behavior="strict",
        finalizer=display,
        auto_escape_callback=lambda _: None,
        fuel=fuel,
    )
    minijinja_environment.debug = False
    return minijinja_environment


def display(value: Any) -> str:
    """Print a value as a prompt shows it: ISO dates, `true`/`false`, compact JSON for nested values."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    return _PRINTED.get(kind, _display)(value)


def _display(value: Any) -> str:
    match value:
        case str():
            return value
        case bytes():
            raise TypeError(BINARY)
        case datetime() | date() | time():
            return value.isoformat()
        case list() | dict():
            return _json(value)
        case _:
            return str(value)


def _json(value: Any) -> str:
    return _encoder.encode(value).decode()


def values_of(column: pa.Array) -> list[Any]:
    """Return a column's values with numbers in the form that MiniJinja leaves as it is."""
    values = plain_values(column)
    may_hold_fractions = _FRACTIONS.search(str(column.type))
    if not may_hold_fractions:
        return values
    return [_number(value) for value in values]


def _values(column: pa.Array) -> list[Any]:
    return seen_column(column.type, values_of(column))


def _number(value: Any) -> Any:
    """Give a number the form that MiniJinja leaves as it is, without loss; also inside lists and structs.

    A float or decimal that is whole becomes an integer; any other decimal a float, or text if it has too many digits.
    """
    match value:
        case float():
            is_whole = value.is_integer() and abs(value) <= 2.0**63
            return int(value) if is_whole else value
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


_encoder = msgspec.json.Encoder(enc_hook=printable)
_PRINTED: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "",
    bool: lambda value: "true" if value else "false",
    int: str,
    float: repr,
    Day: Day.isoformat,
    DayAndTime: Day.isoformat,
    NoClock: NoClock.isoformat,
    Fields: _json,
    Items: _json,
    dict: _json,
    list: _json,
}
