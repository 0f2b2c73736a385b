"""The Python code of a template, written by Jinja's compiler without computing anything of the template.

So compiling is as harmless as reading. Which code belongs to which expression is noted, for errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from types import CodeType
from typing import Any

from jinja2 import Environment, nodes
from jinja2.compiler import CodeGenerator, Frame

FILE = "<prompt template>"
_ORDERS = frozenset({"lt", "lteq", "gt", "gteq"})


@dataclass(frozen=True)
class Span:
    """Where the code of an expression stands: its line, and the first and last column in bytes."""

    line: int
    start: int
    end: int
    node: nodes.Node


class Code(CodeGenerator):
    """Writes the Python code of a template; nothing of the template is computed."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment, None, FILE, optimized=False)
        self.undeclared = set[str]()
        self.spans = list[Span]()
        self._column = 0

    def write(self, x: str) -> None:
        if self._new_lines:
            self._column = 4 * self._indentation
        super().write(x)
        self._column += len(x.encode("utf-8", "surrogatepass"))

    def enter_frame(self, frame: Frame) -> None:
        """Note the names that are read of the row or of the functions."""
        super().enter_frame(frame)
        for action, name in frame.symbols.loads.values():
            if action == "resolve" and name is not None:
                self.undeclared.add(name)

    def visit(self, node: nodes.Node, *args: Any, **named: Any) -> Any:
        """Write the code of a node; note where that of an expression stands."""
        if not isinstance(node, nodes.Expr):
            return super().visit(node, *args, **named)
        line, start = self._place()
        result = super().visit(node, *args, **named)
        end_line, end = self._place()
        if line == end_line:
            self.spans.append(Span(line, start, end, node))
        return result

    def _place(self) -> tuple[int, int]:
        if self._new_lines:
            return self.code_lineno + self._new_lines, 4 * self._indentation
        return self.code_lineno, self._column

    def _output_child_to_const(self, node: Any, frame: Frame, finalize: Any) -> str:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)

    def _output_child_pre(self, node: Any, frame: Frame, finalize: Any) -> None:
        self.write("environment.finalize(")

    def _output_child_post(self, node: Any, frame: Frame, finalize: Any) -> None:
        self.write(")")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.join_texts((")
        for operand in node.nodes:
            self.visit(operand, frame)
            self.write(", ")
        self.write("))")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802
        if not any(operand.op in _ORDERS for operand in node.ops):
            super().visit_Compare(node, frame)
            return
        self.write("environment.compare(")
        self.visit(node.expr, frame)
        for operand in node.ops:
            self.write(f", {operand.op!r}, ")
            self.visit(operand.expr, frame)
        self.write(")")

    def compiled(self) -> CodeType:
        """Return Python's code."""
        assert isinstance(self.stream, StringIO)
        source = self.stream.getvalue()
        return compile(source, FILE, "exec", optimize=0)
