"""Jinja's filters and tests as prompts need them: they take nulls, and give the same each time.

A filter over text takes any value as it is printed, so that a null is an empty text; one over a list takes a null as an
empty list, and returns a list, not an iterator that would print its address in memory.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable, Mapping
from functools import wraps
from pprint import pformat
from typing import Any

from jinja2 import Environment, pass_context, pass_environment
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.runtime import Context
from jinja2.tests import TESTS

from nightbatch.template.language.printing import data, display, json_default

Function = Callable[..., Any]
NOT_NULL = "not null"
"""Names the filter that returns an empty text for a null: it can be looped over and sliced. No template can name it."""
_CHOICES = "nightbatch choices"
"""Names the variable that tells a row's `random` filters apart. No template can name it."""
_PASSED = "jinja_pass_arg"
"""The attribute of a filter that takes Jinja's context or environment before its value."""
_OVER_TEXT = (
    "capitalize", "center", "e", "escape", "forceescape", "indent", "lower", "safe", "striptags", "title", "trim",
    "truncate", "upper", "urlize", "wordcount", "wordwrap",
)  # fmt: skip
_OVER_STRUCTS = ("dictsort", "items")
_OVER_LISTS = (
    "batch", "count", "first", "groupby", "last", "length", "list", "map", "max", "min", "reject",
    "rejectattr", "reverse", "select", "selectattr", "slice", "sort", "sum", "unique",
)  # fmt: skip
_ORDERS: tuple[Function, ...] = (operator.lt, operator.le, operator.gt, operator.ge)
_COMPARED: dict[str, Function] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gteq": operator.ge,
    "lt": operator.lt,
    "lteq": operator.le,
    "in": lambda item, items: item in items,
    "notin": lambda item, items: item not in items,
}


class Shown:
    """An argument of a format: `%s` shows it as a prompt does, `%d` and `%f` as a number."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __str__(self) -> str:
        return display(self._value)

    __repr__ = __str__

    def __int__(self) -> int:
        return int(self._value)

    def __index__(self) -> int:
        return operator.index(self._value)

    def __float__(self) -> float:
        return float(self._value)

    def __getitem__(self, key: Any) -> Any:
        """Return a field of a struct, for `'%(name)s' % place`."""
        return shown(self._value[key])


def shown(value: Any) -> Any:
    """Return what a format shows of its argument, or of each in a tuple."""
    if isinstance(value, tuple):
        return tuple(map(shown, value))
    return value if isinstance(value, str) or type(value) is int else Shown(value)


def filters() -> dict[str, Function]:
    """Return all filters by name."""
    over_text = {name: _over_text(FILTERS[name]) for name in _OVER_TEXT}
    over_lists = {name: _over_lists(FILTERS[name], "") for name in _OVER_LISTS}
    over_structs = {name: _over_lists(FILTERS[name], {}) for name in _OVER_STRUCTS}
    ours: dict[str, Function] = {
        "format": _format,
        "join": _join,
        "pprint": _pprint,
        "random": _random,
        "replace": _replace,
        "string": display,
        NOT_NULL: _not_null,
    }
    builtin: Mapping[str, Any] = FILTERS
    return {**builtin, **over_text, **over_lists, **over_structs, **ours}


def tests() -> dict[str, Function]:
    """Return all tests by name; no order holds of a null."""
    builtin: Mapping[str, Any] = TESTS
    ordered = {
        name: _without_nulls(test) for name, test in builtin.items() if test in _ORDERS
    }
    return {**builtin, **ordered}


def compare(first: Any, *comparisons: Any) -> bool:
    """Tell whether `first < second <= third …` holds; `comparisons`: an operator and a value in turn.

    As in SQL, a null is neither smaller nor larger than anything.
    """
    left = first
    for name, right in zip(comparisons[::2], comparisons[1::2], strict=True):
        compared = _COMPARED[name]
        is_order = compared in _ORDERS
        if is_order and (left is None or right is None):
            return False
        if not compared(left, right):
            return False
        left = right
    return True


def _without_nulls(operation: Function) -> Function:
    def test(left: Any, right: Any) -> bool:
        is_null = left is None or right is None
        return not is_null and bool(operation(left, right))

    return test


def json_text(value: Any, **options: Any) -> str:
    """Encode for the filter `tojson`."""
    return json.dumps(value, default=json_default, **options)


def _over_text(function: Function) -> Function:
    def convert(value: Any) -> Any:
        return value if isinstance(value, str) else display(value)

    return _converting(function, convert, lambda result: result)


def _over_lists(function: Function, empty: Any) -> Function:
    def convert(value: Any) -> Any:
        return empty if value is None else value

    def listed(result: Any) -> Any:
        return list(result) if hasattr(result, "__next__") else result

    return _converting(function, convert, listed)


def _converting(
    function: Function, convert: Callable[[Any], Any], finish: Callable[[Any], Any]
) -> Function:
    """Return the filter with its value and result converted."""

    @wraps(function)
    def over_value(value: Any, *args: Any, **named: Any) -> Any:
        return finish(function(convert(value), *args, **named))

    @wraps(function)
    def over_second(first: Any, value: Any, *args: Any, **named: Any) -> Any:
        return finish(function(first, convert(value), *args, **named))

    return over_second if hasattr(function, _PASSED) else over_value


def _not_null(value: Any) -> Any:
    return "" if value is None else value


def _format(value: Any, *args: Any, **named: Any) -> Any:
    if args and named:
        raise TypeError
    shown_named = {name: shown(argument) for name, argument in named.items()}
    return display(value) % (shown_named or shown(args))


@pass_environment
def _join(
    environment: Environment, value: Any, d: Any = "", attribute: Any = None
) -> str:
    items = _not_null(value)
    if attribute is not None:
        items = map(make_attrgetter(environment, attribute), items)
    return display(d).join(map(display, items))


def _pprint(value: Any) -> str:
    return pformat(data(value))


@pass_context
def _random(context: Context, seq: Any) -> Any:
    """Choose an item by the content of the row: the same each time, since a request is named by its content."""
    items = list(_not_null(seq))
    if not items:
        return context.environment.undefined("there is no item")
    if _CHOICES not in context.parent:
        names = sorted(context.parent.keys() - context.globals_keys)
        values = tuple(context.parent[name] for name in names)
        context.parent[_CHOICES] = Choices(values)
    choices = context.parent[_CHOICES]
    return items[choices.next_number() % len(items)]


class Choices:
    """Numbers that follow from the values of a row."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        self._values = values
        self._count = 0

    def next_number(self) -> int:
        """Return another number at each call."""
        self._count += 1
        content = repr((self._count, self._values))
        digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big")


def _replace(s: Any, old: Any, new: Any, count: int | None = None) -> str:
    limit = -1 if count is None else count
    return display(s).replace(display(old), display(new), limit)
