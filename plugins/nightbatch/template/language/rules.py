"""What is wrong with a part of a template, whatever the rows: an unknown filter, wrong arguments, another template.

Each refusal is a TemplateSyntaxError with the offset in the place of the line, as Jinja's parser raises them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes

from nightbatch.template.language.filters import NOT_NULL
from nightbatch.wording import closest

_OTHER_TEMPLATES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
_ESCAPING = (nodes.EvalContextModifier, nodes.ScopedEvalContextModifier)
_PASSED = ("context", "env", "environment", "eval_ctx")
"""Names of a filter's first parameter that Jinja fills in."""
_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


def check(node: nodes.Node, environment: Environment) -> None:
    """Refuse a node that can never work."""
    if isinstance(node, _OTHER_TEMPLATES):
        _refuse(node, f"{_tag_name(node)!r} cannot be used: a prompt is one template")
    if isinstance(node, _ESCAPING):
        _refuse(node, "'autoescape' cannot be used: a prompt is never escaped")
    if isinstance(node, nodes.Filter):
        _check_call("filter", node, environment.filters)
    if isinstance(node, nodes.Test):
        _check_call("test", node, environment.tests)


def unknown_function(name: str) -> str:
    """Say that there is no function of a name."""
    return (
        f"there is no function {name!r}; there are range, dict, namespace, cycler, joiner, image, document and the "
        "template's own macros"
    )


def _tag_name(node: nodes.Node) -> str:
    return "from" if isinstance(node, nodes.FromImport) else type(node).__name__.lower()


def _refuse(node: nodes.Node, message: str) -> None:
    raise TemplateSyntaxError(message, node.lineno)


def _check_call(
    kind: str,
    node: nodes.Filter | nodes.Test,
    functions: Mapping[str, Any],
) -> None:
    subject = f"{kind} {node.name!r}"
    function = functions.get(node.name)
    if function is None:
        similar = _similar(node.name, functions)
        _refuse(node, f"there is no {subject}{similar}")
    elif not _takes_arguments(node, function):
        parameters = ", ".join(_parameters(function))
        _refuse(node, f"{subject} takes other arguments: ({parameters})")


def _similar(name: str, names: Iterable[str]) -> str:
    """Suggest the name that was probably meant; empty where none is similar."""
    known_names = [known for known in names if known != NOT_NULL]
    meant = closest(name, known_names)
    return f" (did you mean {meant!r}?)" if meant else ""


def _takes_arguments(
    node: nodes.Filter | nodes.Test, function: Callable[..., Any]
) -> bool:
    has_unknown_number = node.dyn_args is not None or node.dyn_kwargs is not None
    signature = _signature(function)
    if signature is None or has_unknown_number:
        return True
    arguments = [None for _ in node.args]
    keywords = [str(keyword.key) for keyword in node.kwargs]
    named = dict.fromkeys(keywords)
    try:
        signature.bind(*arguments, **named)
    except TypeError:
        return False
    return True


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    """Return the parameters that a template writes; None where Python does not know them."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    parameters = list(signature.parameters.values())
    if parameters and parameters[0].name in _PASSED:
        del parameters[0]
    if not parameters:
        return None
    value = parameters.pop(0)
    if value.kind not in _POSITIONAL:
        return None
    return inspect.Signature(parameters)


def _parameters(function: Callable[..., Any]) -> list[str]:
    no_annotation = inspect.Parameter.empty
    signature = _signature(function)
    assert signature is not None
    return [
        str(parameter.replace(annotation=no_annotation))
        for parameter in signature.parameters.values()
    ]
