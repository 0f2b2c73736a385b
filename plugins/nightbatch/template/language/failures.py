"""What went wrong with a row, in words: of the template, never of the row.

The messages of Python and of Jinja may quote a value, so only the kind of an error is used, and its place in the code.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from types import TracebackType

from jinja2 import nodes
from jinja2.exceptions import SecurityError, UndefinedError

from nightbatch.template.language.code import FILE, Span
from nightbatch.template.language.filters import NOT_NULL
from nightbatch.template.language.places import tag, where
from nightbatch.template.language.printing import BINARY, NO_VALUE
from nightbatch.template.language.syntax import MEDIA, Program

_ABSENT = "Write … | default('') or {% if … is defined %} where it may be absent."
LESS = "Let the template loop, collect, repeat and join less."
Position = tuple[int | None, int | None, int | None, int | None]
"""First and last line, first and last column; None where Python does not know them."""


class TimeLimit(BaseException):
    """A row takes too long. No Exception, since Jinja catches some."""


def described(error: BaseException, program: Program, row: int) -> str:
    """Say what went wrong, where in the template, in which row (counted from 1), and what to do."""
    node = _node(error, program)
    problem, advice = _problem(error, node)
    place = ""
    markup = ""
    if node is not None:
        source = program.source
        offset = node.lineno
        place = where(source, offset)
        node_tag = tag(source, offset)
        markup = f": {node_tag}"
    message = (
        f"prompt: {problem}{place}, in row {row:,} of the partition{markup}. {advice}"
    )
    return message.rstrip()


def _problem(error: BaseException, node: nodes.Node | None) -> tuple[str, str]:
    """Say what went wrong, and what to do about it."""
    match error:
        case TimeLimit():
            return "rendering takes too long", LESS
        case MemoryError():
            return "rendering takes too much memory", LESS
        case RecursionError():
            return "a macro or a loop calls itself without end", LESS
        case UndefinedError():
            return _undefined(node)
        case SecurityError():
            return (
                f"{_named(node)} cannot be used",
                "A template reads values; docs/templates.md lists the methods.",
            )
        case ZeroDivisionError():
            return "a number is divided by zero", "Test the divisor with if first."
        case OverflowError():
            return (
                "a number is too large",
                "A range has at most 100,000 numbers.",
            )
        case TypeError() if error.args == (BINARY,):
            return BINARY, ""
        case TypeError() if error.args == (NO_VALUE,):
            return NO_VALUE, "Call it: items() and not items."
    return _misuse(error, node)


def _undefined(node: nodes.Node | None) -> tuple[str, str]:
    """Name what is absent: it is used by the node, or it is the node."""
    match node:
        case nodes.Call(node=nodes.Getattr() as method):
            return (
                f"there is no method {_named(method)} that a template may call",
                "docs/templates.md says what a template may use of a value.",
            )
        case nodes.Filter(args=[], kwargs=[], node=nodes.Expr() as value):
            absent: nodes.Node = value
        case nodes.Node():
            absent = node
        case None:
            return "a value is used that is not there", _ABSENT
    is_named = isinstance(absent, nodes.Name | nodes.Getattr)
    is_constant = isinstance(absent, nodes.Getitem) and isinstance(
        absent.arg, nodes.Const
    )
    name = "a value that is used"
    if is_named or is_constant:
        name = _named(absent)
    return f"{name} is not there", _ABSENT


def _misuse(error: BaseException, node: nodes.Node | None) -> tuple[str, str]:
    """Describe a value that cannot be used as the template uses it."""
    match node:
        case nodes.Filter(name=name) if name == NOT_NULL:
            return (
                "a value cannot be looped over or sliced like this",
                "Loop over a list or the items() of a struct; slice a text or a list.",
            )
        case nodes.Filter():
            return (
                f"filter {node.name!r} cannot use this value or these arguments",
                "Test the value first, or convert it with int, float, string or list.",
            )
        case nodes.Test():
            return f"test {node.name!r} cannot be made of this value", ""
        case nodes.Call():
            return f"{_named(node.node)} cannot be called with these arguments", ""
        case nodes.Compare():
            return (
                "these values cannot be compared",
                "Convert a text with int or float before it is compared with a number.",
            )
        case nodes.Add() | nodes.Sub() | nodes.Mul() | nodes.Div() | nodes.Mod():
            return (
                f"these values cannot be computed with {_SIGNS[type(node)]}",
                "Join texts with ~, test for null with is none, and convert texts with int or float.",
            )
    return f"a value cannot be used like this ({type(error).__name__})", ""


def _named(node: nodes.Node | None) -> str:
    """Name a part of the template as it is written there."""
    match node:
        case nodes.Name():
            names = {own_name: name for name, own_name in MEDIA.items()}
            return repr(names.get(node.name, node.name))
        case nodes.Getattr():
            return repr(f".{node.attr}")
        case nodes.Getitem(arg=nodes.Const() as constant):
            return f"[{constant.value!r}]"
        case nodes.Call():
            return _named(node.node)
    return "a value"


def _node(error: BaseException, program: Program) -> nodes.Node | None:
    """Find the expression whose code raised an error: the innermost one that the code belongs to."""
    traceback = error.__traceback__
    frames = list(_template_frames(traceback))
    for frame in reversed(frames):
        node = _node_of(frame, program)
        if node is not None:
            return node
    return None


def _node_of(frame: TracebackType, program: Program) -> nodes.Node | None:
    """Find the expression to which the current instruction of a frame belongs."""
    line, end_line, start, end = _position(frame)
    frame_line = line or frame.tb_lineno
    spans = [span for span in program.spans if span.line == frame_line]
    if not spans:
        return None
    if start is None or end is None:
        return spans[-1].node
    is_whole_statement = end_line != line
    if is_whole_statement:
        end = sys.maxsize
    return _nearest(spans, start, end)


def _position(frame: TracebackType) -> Position:
    """Return where the code of a frame's current instruction stands."""
    instruction = frame.tb_lasti // 2
    positions = frame.tb_frame.f_code.co_positions()
    rest = islice(positions, instruction, None)
    return next(rest, (None, None, None, None))


def _nearest(spans: list[Span], start: int, end: int) -> nodes.Node | None:
    """Return the smallest expression around a piece of code, else the largest within it."""
    around = [span for span in spans if span.start <= start and end <= span.end]
    if around:
        return min(around, key=_length).node
    within = [span for span in spans if start <= span.start and span.end <= end]
    if not within:
        return None
    return max(within, key=_length).node


def _length(span: Span) -> int:
    return span.end - span.start


def _template_frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    """Yield the frames of a traceback that run the template's own code."""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        is_own = code.co_filename == FILE
        if is_own:
            yield traceback
        traceback = traceback.tb_next


_SIGNS = {
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.Mod: "%",
}
