"""What went wrong with a row, in words: of the template, never of the row.

The messages of Python and of Jinja may quote a value, so only the kind of an error is used, and its place in the code.
"""

from __future__ import annotations

import sys
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


class TimeLimit(BaseException):
    """A row takes too long. No Exception, since Jinja catches some."""


def described(error: BaseException, program: Program, row: int) -> str:
    """Say what went wrong, where in the template, in which row (counted from 1), and what to do."""
    node = _node(error, program)
    problem, advice = _problem(error, node)
    place = ""
    markup = ""
    if node is not None:
        place = f"{where(program.source, node.lineno)}"
        markup = f": {tag(program.source, node.lineno)}"
    return f"prompt: {problem}{place}, in row {row:,} of the partition{markup}. {advice}".rstrip()


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
    name = _named(absent) if is_named or is_constant else "a value that is used"
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
    for frame in reversed(_template_frames(error.__traceback__)):
        node = _node_of(frame, program)
        if node is not None:
            return node
    return None


def _node_of(frame: TracebackType, program: Program) -> nodes.Node | None:
    """Find the expression to which the current instruction of a frame belongs."""
    positions = frame.tb_frame.f_code.co_positions()
    instruction = frame.tb_lasti // 2
    line, end_line, start, end = next(
        islice(positions, instruction, None), (None, None, None, None)
    )
    spans = [span for span in program.spans if span.line == (line or frame.tb_lineno)]
    if start is None or end is None:
        return spans[-1].node if spans else None
    is_whole_statement = end_line != line
    return _nearest(spans, start, sys.maxsize if is_whole_statement else end)


def _nearest(spans: list[Span], start: int, end: int) -> nodes.Node | None:
    """Return the smallest expression around a piece of code, else the largest within it."""
    around = [span for span in spans if span.start <= start and end <= span.end]
    if around:
        return min(around, key=_length).node
    within = [span for span in spans if start <= span.start and span.end <= end]
    return max(within, key=_length).node if within else None


def _length(span: Span) -> int:
    return span.end - span.start


def _template_frames(traceback: TracebackType | None) -> list[TracebackType]:
    """Return the frames of a traceback that run the template's own code."""
    frames = list[TracebackType]()
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == FILE:
            frames.append(traceback)
        traceback = traceback.tb_next
    return frames


_SIGNS = {
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.Mod: "%",
}
