"""Reads and checks a template without any row: what is wrong with it, its columns, and its code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType

from jinja2 import TemplateSyntaxError, nodes

from nightbatch.errors import TemplateError
from nightbatch.template.language import rules
from nightbatch.template.language.code import Code, Span
from nightbatch.template.language.environment import FUNCTIONS, Language
from nightbatch.template.language.filters import NOT_NULL
from nightbatch.template.language.places import tag, where

TEMPLATE_BYTES = 1_000_000
MEDIA = {"image": "nightbatch_image", "document": "nightbatch_document"}
"""The functions for images and documents, and the names that no column has, by which a template's code calls them."""
_RESERVED_WORDS = """
    true false none True False None not and or in is if else elif for
    loop self super caller varargs kwargs
"""
RESERVED = frozenset(_RESERVED_WORDS.split())
"""Names that mean something else than a column, at least in some places."""
_PLAIN = re.compile(r"\{\{\s*([^\W\d]\w*)\s*\}\}")
_MARKUP = re.compile(r"\{\{|\{%|\{#")
ADVICE = "docs/templates.md describes the language."
_ASSIGNMENTS = (nodes.Assign, nodes.AssignBlock)
_LINE_BREAK = re.compile(r"\r\n|\r")
_OFFSET = re.compile(r" at \d+$")


@dataclass(frozen=True)
class Program:
    """A template that is well formed.

    `columns`: what it reads of a row, sorted; `spans`: which code belongs to which expression.
    """

    source: str
    tree: nodes.Template
    columns: tuple[str, ...]
    has_media: bool
    bytecode: CodeType
    spans: list[Span]


def check_syntax(text: str) -> None:
    """Raise TemplateError where a template is not well formed, whatever the rows."""
    if plain_pieces(text) is None:
        read(text)


def plain_pieces(text: str) -> list[str] | None:
    """Return literals and column names in turn, if a template has only plain substitutions."""
    source = lines_normalized(text)
    other_text = _PLAIN.sub("", source)
    if _MARKUP.search(other_text):
        return None
    pieces = _PLAIN.split(source)
    names = pieces[1::2]
    if not all(map(_can_be_column, names)):
        return None
    return pieces


def _can_be_column(name: str) -> bool:
    return name.isidentifier() and name not in RESERVED


def read(text: str) -> Program:
    """Read and compile a template. Raises TemplateError; nothing of the template is computed."""
    source = lines_normalized(text)
    try:
        return _program(source)
    except TemplateSyntaxError as error:
        offset = error.lineno
        message = _OFFSET.sub("", error.message or "")
        sentence = message.rstrip(".")
        place = where(source, offset)
        markup = tag(source, offset)
        problem = f"{sentence}{place}: {markup}. {ADVICE}"
    except (RecursionError, MemoryError, SyntaxError):
        problem = "blocks or brackets of the template are nested too deeply."
    except (ValueError, OverflowError):
        problem = "a number in the template is too large."
    raise TemplateError(f"prompt: {problem}")


def lines_normalized(text: str) -> str:
    """Return a template with the line breaks that Jinja makes of all kinds; refuse one that is too long."""
    template_bytes = len(text.encode(errors="surrogatepass"))
    if template_bytes > TEMPLATE_BYTES:
        raise TemplateError(
            f"prompt: the template has {template_bytes:,} bytes; at most {TEMPLATE_BYTES:,} are allowed."
        )
    return _LINE_BREAK.sub("\n", text)


@lru_cache(maxsize=1)
def language() -> Language:
    """Return the environment that all templates share."""
    return Language()


def _program(source: str) -> Program:
    environment = language()
    tree = environment.parse(source)
    all_nodes = list(_in_order(tree))
    for node in all_nodes:
        rules.check(node, environment)
    has_media = _name_media_calls(all_nodes)
    _accept_nulls(all_nodes)
    code = Code(environment)
    code.visit(tree)
    own_names = _own_names(all_nodes)
    called = _called_names(all_nodes)
    read_names = code.undeclared - own_names - set(MEDIA.values())
    for name, offset in called.items():
        if name in read_names and name not in FUNCTIONS:
            raise TemplateSyntaxError(rules.unknown_function(name), offset)
    columns = read_names - (FUNCTIONS & called.keys())
    return Program(
        source=source,
        tree=tree,
        columns=tuple(sorted(columns)),
        has_media=has_media,
        bytecode=code.compiled(),
        spans=code.spans,
    )


def _in_order(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield all nodes as they are evaluated: what is assigned comes before the name that it is assigned to."""
    yield node
    children = list(node.iter_child_nodes())
    if isinstance(node, _ASSIGNMENTS):
        children.reverse()
    for child in children:
        yield from _in_order(child)


def _name_media_calls(all_nodes: list[nodes.Node]) -> bool:
    """Give `image(…)` and `document(…)` names that no column has; tell whether there are any."""
    has_media = False
    for called in _called(all_nodes):
        if called.name in MEDIA:
            called.name = MEDIA[called.name]
            has_media = True
    return has_media


def _called(all_nodes: list[nodes.Node]) -> Iterator[nodes.Name]:
    """Yield the names that stand before the brackets of a call."""
    for node in all_nodes:
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
            yield node.node


def _accept_nulls(all_nodes: list[nodes.Node]) -> None:
    """Let a null be looped over and sliced, as the empty text."""
    for node in all_nodes:
        if isinstance(node, nodes.For):
            node.iter = _not_null(node.iter)
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
            node.node = _not_null(node.node)


def _not_null(node: nodes.Node) -> nodes.Filter:
    assert isinstance(node, nodes.Expr)
    return nodes.Filter(
        node, NOT_NULL, [], [], None, None, lineno=node.lineno, environment=language()
    )


def _own_names(all_nodes: list[nodes.Node]) -> set[str]:
    """Name the variables and macros that the template sets before it reads them.

    Jinja looks for such a name among the columns too, where a condition decides whether it is set.
    """
    set_names = set[int]()
    is_own = dict[str, bool]()
    for node in all_nodes:
        match node:
            case nodes.Assign() | nodes.AssignBlock():
                targets = [node.target, *node.target.find_all(nodes.Name)]
                set_names.update(map(id, targets))
            case nodes.Macro():
                is_own.setdefault(node.name, True)
            case nodes.Name(ctx="load"):
                is_own.setdefault(node.name, False)
            case nodes.Name():
                if id(node) in set_names:
                    is_own.setdefault(node.name, True)
    return {name for name, own in is_own.items() if own}


def _called_names(all_nodes: list[nodes.Node]) -> dict[str, int]:
    """Name the functions that are called, each with the offset of a call."""
    return {called.name: called.lineno for called in _called(all_nodes)}
