"""Which templates print, by their form alone, no more than a fixed multiple of their input.

A list of what is allowed: values, their fields and slices; conditions; loops that are not nested and print only their
own variable; filters and methods that return about as much text as they get; and images and documents. A template with
anything else may print without limit.
"""

from __future__ import annotations

from jinja2 import nodes

from nightbatch.errors import TemplateError
from nightbatch.template.allowed import (
    allows_filter,
    allows_method,
    is_constant_index,
    is_media,
)
from nightbatch.template.template import Template

MOST_PARTS = 700
"""Values, operators, filters and tests of a template: it limits how many times a value is printed."""
LOOP_CHARACTERS = 1_000
"""Of text in all loops, where each value counts as ten: a row decides how many times it is printed."""
_VALUE_CHARACTERS = 10
_OPERATIONS = (
    nodes.Not, nodes.And, nodes.Or, nodes.Compare, nodes.CondExpr, nodes.Neg, nodes.Concat, nodes.Add, nodes.Sub,
)  # fmt: skip


class _Unbounded(Exception):
    """The template is not on the list."""


def is_bounded(template: Template) -> bool:
    """Tell whether all of a template is on the list, and short enough."""
    if template.pieces is not None:
        return len(template.pieces) <= 2 * MOST_PARTS
    try:
        _Judge().blocks(template.program.tree.body)
    except (TemplateError, _Unbounded, RecursionError):
        return False
    return True


class _Judge:
    """Goes through a template once, and raises _Unbounded at what is not on the list."""

    def __init__(self) -> None:
        self._parts = 0
        self._loop_characters = 0
        self._loop_names = set[str]()

    def blocks(self, body: list[nodes.Node]) -> None:
        """Judge what stands between tags, and the tags."""
        for node in body:
            match node:
                case nodes.Output():
                    for child in node.nodes:
                        self._printed(child)
                case nodes.If():
                    self._condition(node)
                case nodes.For():
                    self._loop(node)
                case _:
                    raise _Unbounded

    def _printed(self, node: nodes.Expr) -> None:
        if isinstance(node, nodes.TemplateData):
            self._count_loop_text(len(node.data))
            return
        self._count_loop_text(_VALUE_CHARACTERS)
        if isinstance(node, nodes.Call) and is_media(node):
            self._media(node)
        else:
            self._value(node)

    def _media(self, call: nodes.Call) -> None:
        """Judge an image or a document: its only argument is a value or a field of one."""
        self._count_part()
        _require(call.dyn_args is None and call.dyn_kwargs is None)
        _require(len(call.args) == 1 and not call.kwargs)
        self._path(call.args[0])

    def _condition(self, node: nodes.If) -> None:
        self._value(node.test)
        self.blocks(node.body)
        for branch in node.elif_:
            self._condition(branch)
        self.blocks(node.else_)

    def _loop(self, node: nodes.For) -> None:
        _require(not self._loop_names and not node.recursive)
        self._value(node.iter)
        names = [name.name for name in node.target.find_all(nodes.Name)]
        if isinstance(node.target, nodes.Name):
            names.append(node.target.name)
        self._loop_names = {*names, "loop"}
        if node.test is not None:
            self._value(node.test)
        self.blocks(node.body)
        self.blocks(node.else_)
        self._loop_names = set()

    def _value(self, node: nodes.Node) -> None:
        """Judge an expression."""
        self._count_part()
        match node:
            case nodes.Name():
                _require(not self._loop_names or node.name in self._loop_names)
            case nodes.Const():
                self._constant(node)
            case nodes.Getattr():
                self._value(node.node)
            case nodes.Getitem():
                self._value(node.node)
                _require(is_constant_index(node.arg))
            case nodes.Filter():
                self._filter(node)
            case nodes.Test():
                self._value(_required(node.node))
                self._arguments(node)
            case nodes.Call():
                self._call(node)
            case _:
                _require(isinstance(node, _OPERATIONS))
                self._operands(node)

    def _operands(self, node: nodes.Node) -> None:
        for child in node.iter_child_nodes():
            operand = child.expr if isinstance(child, nodes.Operand) else child
            self._value(operand)

    def _constant(self, node: nodes.Const) -> None:
        if isinstance(node.value, str):
            self._count_loop_text(len(node.value))

    def _path(self, node: nodes.Node) -> None:
        """Judge a value, or a field of one."""
        while isinstance(node, nodes.Getattr | nodes.Getitem):
            if isinstance(node, nodes.Getitem):
                _require(isinstance(node.arg, nodes.Const))
            node = node.node
        _require(isinstance(node, nodes.Name))
        self._value(node)

    def _filter(self, node: nodes.Filter) -> None:
        self._value(_required(node.node))
        self._arguments(node)
        _require(allows_filter(node))

    def _call(self, node: nodes.Call) -> None:
        """Judge the call of a method."""
        method = node.node
        if not isinstance(method, nodes.Getattr):
            raise _Unbounded
        self._value(method.node)
        self._arguments(node)
        _require(allows_method(node, method.attr))

    def _arguments(self, node: nodes.Filter | nodes.Test | nodes.Call) -> None:
        """Judge arguments: only constants."""
        _require(node.dyn_args is None and node.dyn_kwargs is None)
        named_arguments = [keyword.value for keyword in node.kwargs]
        for argument in (*node.args, *named_arguments):
            self._count_part()
            if not isinstance(argument, nodes.Const):
                raise _Unbounded
            self._constant(argument)

    def _count_part(self) -> None:
        self._parts += 1
        _require(self._parts <= MOST_PARTS)

    def _count_loop_text(self, characters: int) -> None:
        if self._loop_names:
            self._loop_characters += characters
            _require(self._loop_characters <= LOOP_CHARACTERS)


def _require(condition: bool) -> None:
    if not condition:
        raise _Unbounded


def _required(node: nodes.Expr | None) -> nodes.Expr:
    if node is None:
        raise _Unbounded
    return node
