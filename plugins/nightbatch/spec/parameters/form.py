"""What the trigger form asks: for each parameter a default, a title, a description, and the JSON schema of a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightbatch.spec.parameters.parameter import Kind, Parameter, parameters

_TYPES = {
    Kind.TEXT: "string",
    Kind.WHOLE: "integer",
    Kind.NUMBER: "number",
    Kind.FLAG: "boolean",
    Kind.NAMES: "array",
    Kind.OBJECT: "object",
    Kind.PROMPT: "string",
}
_URLS = ("source", "target")


@dataclass(frozen=True)
class FormField:
    """A field of the form. `schema`: the JSON schema of its value, with `title` and `section`."""

    default: Any
    description: str
    schema: Mapping[str, Any]


def form_fields(of: Any, defaults: Mapping[str, Any]) -> dict[str, FormField]:
    """Return the fields of the form, by name. `defaults`: values in the place of those of the class."""
    return {
        parameter.name: _field(parameter, defaults.get(parameter.name))
        for parameter in parameters(of)
        if parameter.about.in_form
    }


def _field(parameter: Parameter, form_default: Any) -> FormField:
    default = form_default
    if default is None:
        default = _own_default(parameter)
    description = _description(parameter)
    schema = _schema(parameter)
    return FormField(default, description, schema)


def _own_default(parameter: Parameter) -> Any:
    """Return the default of the class; None where the field is left blank."""
    is_blank = parameter.default in ("", ()) or parameter.is_required
    return None if is_blank else parameter.default


def _description(parameter: Parameter) -> str:
    about = parameter.about
    sentences = [about.text]
    if parameter.kind is Kind.NAMES:
        sentences.append("One a line.")
    if about.empty:
        sentences.append(f"Empty: {about.empty}.")
    return " ".join(sentences)


def _schema(parameter: Parameter) -> dict[str, Any]:
    about = parameter.about
    schema: dict[str, Any] = {"title": about.title, "section": about.section}
    if about.choices:
        return {**schema, "enum": list(about.choices)}
    type_name = _TYPES[parameter.kind]
    may_be_empty = parameter.is_optional or bool(about.empty)
    schema["type"] = type_name
    if may_be_empty:
        schema["type"] = ["null", type_name]
    if about.low is not None:
        schema["minimum"] = about.low
    if about.high is not None:
        schema["maximum"] = about.high
    if parameter.kind is Kind.NAMES:
        schema["items"] = {"type": "string"}
    if about.multiline:
        schema["format"] = "multiline"
    if parameter.name in _URLS:
        schema["pattern"] = "^s3://.+"
    if parameter.is_required:
        schema["minLength"] = 1
    return schema
