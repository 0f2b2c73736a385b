"""Checks one value: its type, its bounds, its choices. The error says what is there and what to write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightbatch.errors import SettingsError
from nightbatch.spec.checks import is_within
from nightbatch.spec.parameters.descriptions import SHARE
from nightbatch.spec.parameters.parameter import Kind, Parameter

SHOWN = 100
"""Characters of a wrong value that an error shows."""
HIDDEN = frozenset({"prompt", "system"})
"""Parameters whose values no message shows."""


def check_value(parameter: Parameter, value: Any) -> None:
    """Raise SettingsError for a value that a parameter cannot have."""
    if value is None and parameter.is_optional:
        return
    name = parameter.name
    if not _fits(parameter, value):
        shown_value = shown(name, value)
        expected = _expected(parameter)
        hint = _hint(parameter, value)
        raise SettingsError(f"{name}: {shown_value} must be {expected}{hint}.")
    choices = parameter.about.choices
    if choices and value not in choices:
        raise SettingsError(f"{name}: {value!r} must be one of {', '.join(choices)}.")
    if parameter.kind is Kind.NAMES:
        _check_names(name, value)


def _fits(parameter: Parameter, value: Any) -> bool:
    """Tell whether a value has the type of a parameter, and a number its bounds."""
    if not _TYPE_CHECKS[parameter.kind](value):
        return False
    is_number = parameter.kind in (Kind.WHOLE, Kind.NUMBER)
    return not is_number or _is_in_bounds(parameter, value)


def shown(name: str, value: Any) -> str:
    """Show a wrong value, cut; of a prompt only its type."""
    is_hidden = name in HIDDEN
    is_object = isinstance(value, Mapping)
    if is_hidden or is_object:
        type_name = type(value).__name__
        return f"a value of type {type_name}"
    text = repr(value)
    if len(text) <= SHOWN:
        return text
    cut_text = text[:SHOWN]
    return f"{cut_text}…"


def _expected(parameter: Parameter) -> str:
    """Say what a value must be, with its bounds."""
    about = parameter.about
    words = [str(parameter.kind)]
    if about.low is not None:
        words.append(f"from {about.low:,}")
    if about.high is not None:
        words.append(f"to {about.high:,}")
    return " ".join(words)


def _hint(parameter: Parameter, value: Any) -> str:
    """Say what was probably meant; empty where that is not known."""
    is_names = parameter.kind is Kind.NAMES
    if is_names and isinstance(value, str) and value:
        return f": write [{shown(parameter.name, value)}]"
    if parameter.kind is Kind.MODEL:
        return _model_hint(value)
    is_share = parameter.about.unit == SHARE
    if is_share and is_within(value, 1, 100):
        return f": write {value / 100:g}"
    if parameter.about.example is not None:
        return f", such as {parameter.about.example!r}"
    return ""


def _model_hint(value: Any) -> str:
    """Say what was meant by a value in the place of a pydantic model."""
    if isinstance(value, Mapping):
        return "; give a JSON schema as answer_schema"
    model = type(value)
    return f": write {model.__name__}, the class" if _is_model(model) else ""


def _is_in_bounds(parameter: Parameter, value: float) -> bool:
    low = parameter.about.low
    if low is None:
        low = float("-inf")
    high = parameter.about.high
    if high is None:
        high = float("inf")
    return is_within(value, low, high)


def _check_names(name: str, value: Any) -> None:
    """Refuse a list in which a name is empty or stands twice."""
    entries = list(value)
    if any(not entry.strip() for entry in entries):
        raise SettingsError(f"{name}: has an empty entry; remove it.")
    repeated = sorted({entry for entry in entries if entries.count(entry) > 1})
    if repeated:
        raise SettingsError(
            f"{name}: must be a list of different names; {', '.join(repeated)} stands in it twice."
        )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_names(value: Any) -> bool:
    is_list = isinstance(value, (list, tuple))
    return is_list and all(isinstance(entry, str) for entry in value)


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _is_prompt(value: Any) -> bool:
    from nightbatch.spec.enrichment import Prompt  # which imports this module

    return isinstance(value, (str, Prompt))


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and hasattr(value, "model_json_schema")


_TYPE_CHECKS = {
    Kind.TEXT: _is_text,
    Kind.WHOLE: _is_whole,
    Kind.NUMBER: _is_number,
    Kind.FLAG: _is_flag,
    Kind.NAMES: _is_names,
    Kind.OBJECT: _is_object,
    Kind.PROMPT: _is_prompt,
    Kind.MODEL: _is_model,
}
