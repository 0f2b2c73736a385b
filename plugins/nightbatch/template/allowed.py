"""The filters and methods of a template that return no more than a small multiple of their value.

How large the multiple is follows from the form of a call, so arguments are constants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from jinja2 import nodes

from nightbatch.template.language.filters import NOT_NULL
from nightbatch.template.language.syntax import MEDIA

_SHORT_TEXT = 20
_LARGEST_PRECISION = 20

_TEXT_FILTERS = frozenset(
    ["capitalize", "lower", "string", "title", "trim", "truncate", "upper"]
)
"""Return about as much text as their value has when it is printed."""
_LIST_FILTERS = frozenset(
    ["dictsort", "items", "list", "map", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "unique"]
)  # fmt: skip
"""May make a list of the characters of a text, which is printed with a few more for each."""
_OTHER_FILTERS = frozenset(
    ["abs", "count", "d", "default", "first", "float", "int", "last", "length", "max", "min", "sum", "wordcount"]
)  # fmt: skip
_PLAIN_FILTERS = _TEXT_FILTERS | _OTHER_FILTERS | {NOT_NULL}
_INSERTING_FILTERS = frozenset(["join", "replace"])
_LIST_METHODS = frozenset(
    ["items", "keys", "partition", "rpartition", "rsplit", "split", "splitlines", "values"]
)  # fmt: skip
_METHOD_NAMES = (
    "capitalize casefold count endswith find get index isalnum isalpha isdigit islower isnumeric isoformat isspace"
    " istitle isupper lower lstrip removeprefix removesuffix rfind rindex rstrip startswith strip swapcase title upper"
    " weekday"
)
_METHODS = frozenset(_METHOD_NAMES.split()) | _LIST_METHODS


def allows_filter(node: nodes.Filter) -> bool:
    """Tell whether a filter returns little; its arguments are constants."""
    name = node.name
    if name == "round":
        return _has_small_precision(node)
    if name in _INSERTING_FILTERS:
        return _inserts_little(node)
    if name in _LIST_FILTERS:
        return not _lists_printed_lists(node) and _maps_little(node)
    return name in _PLAIN_FILTERS


def allows_method(call: nodes.Call, name: str) -> bool:
    """Tell whether a method returns little; its arguments are constants."""
    if name == "strftime":
        return _is_short_format(call)
    if name in _LIST_METHODS:
        return not _lists_printed_lists(call)
    return name in _METHODS


def is_media(call: nodes.Call) -> bool:
    return isinstance(call.node, nodes.Name) and call.node.name in MEDIA.values()


def _constants(arguments: Iterable[nodes.Node]) -> list[Any]:
    """Return the values of arguments, all of which are constants."""
    return [node.value for node in arguments if isinstance(node, nodes.Const)]


def is_constant_index(node: nodes.Node) -> bool:
    """Tell whether what stands in `[…]` is a constant, or a slice between constants."""
    if not isinstance(node, nodes.Slice):
        return _is_constant(node)
    bounds = (node.start, node.stop, node.step)
    return all(bound is None or _is_constant(bound) for bound in bounds)


def _is_constant(node: nodes.Node) -> bool:
    number = node.node if isinstance(node, nodes.Neg) else node
    return isinstance(number, nodes.Const)


def _inserts_little(node: nodes.Filter) -> bool:
    """Tell whether a replace shortens, or a join or replace inserts short texts and no other one stands below it."""
    arguments = _constants(node.args)
    if node.kwargs:
        return False
    if node.name == "replace" and _shortens(arguments):
        return True
    if any(map(_inserts, _below(node))):
        return False
    return all(map(_is_short, arguments))


def _inserts(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Filter) and node.name in _INSERTING_FILTERS


def _is_short(argument: Any) -> bool:
    return len(str(argument)) <= _SHORT_TEXT


def _shortens(arguments: list[Any]) -> bool:
    """Tell whether the arguments of a replace put no more characters than they take."""
    if not all(isinstance(argument, str) for argument in arguments[:2]):
        return False
    return len(arguments) >= 2 and 0 < len(arguments[0]) >= len(arguments[1])


def _maps_little(node: nodes.Filter) -> bool:
    """Tell whether a map, if it is one, takes an attribute, and nothing long where that is missing."""
    if node.name != "map":
        return True
    if node.args:
        return False
    values = [keyword.value for keyword in node.kwargs if keyword.key != "attribute"]
    return all(map(_is_short, _constants(values)))


def _lists_printed_lists(node: nodes.Node) -> bool:
    """Tell whether a list is made of what a list is printed to: in turn, the two multiply a text."""
    return any(
        _makes_text(part) and any(map(_makes_list, _below(part)))
        for part in _below(node)
    )


def _makes_text(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Filter):
        return node.name in _TEXT_FILTERS or node.name in _INSERTING_FILTERS
    return isinstance(node, nodes.Concat)


def _makes_list(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Filter):
        return node.name in _LIST_FILTERS
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        return node.node.attr in _LIST_METHODS
    return False


def _below(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield all parts of an expression but itself."""
    for child in node.iter_child_nodes():
        yield child
        yield from _below(child)


def _has_small_precision(node: nodes.Filter) -> bool:
    if node.kwargs:
        return False
    numbers = _constants(node.args[:1])
    return all(map(_is_small, numbers))


def _is_small(number: Any) -> bool:
    return isinstance(number, int) and number <= _LARGEST_PRECISION


def _is_short_format(node: nodes.Call) -> bool:
    """Tell whether a date is formatted without widths such as `%999d`, which pad it."""
    if len(node.args) != 1 or node.kwargs:
        return False
    (text,) = _constants(node.args)
    return isinstance(text, str) and len(text) <= 40 and not any(map(str.isdigit, text))
