"""Checks a template without any row, and without importing Arrow: DAG files check their templates."""

from __future__ import annotations

from functools import lru_cache

from jinja2 import Environment, TemplateSyntaxError

from nightbatch.errors import TemplateError


@lru_cache(maxsize=64)
def check_syntax(text: str) -> None:
    """Raise TemplateError where a template is not well formed, whatever the rows."""
    try:
        _environment().parse(text)
    except TemplateSyntaxError as error:
        problem = (error.message or "").rstrip(".")
        line = error.lineno
    except RecursionError:
        problem = "blocks or brackets are nested too deeply"
        line = 1
    else:
        return
    raise TemplateError(f"prompt: {problem}, at line {line} of the template. Fix it.")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    extensions = ["jinja2.ext.do", "jinja2.ext.loopcontrols"]
    return Environment(extensions=extensions, autoescape=False)  # noqa: S701 - parses only
