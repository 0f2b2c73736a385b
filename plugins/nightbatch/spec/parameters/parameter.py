"""A parameter: its description, and the type and default that the class has."""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, fields
from enum import StrEnum
from typing import Any

from nightbatch.spec.parameters.descriptions import DESCRIPTIONS, Description


class Kind(StrEnum):
    """What a value must be, in the words of an error."""

    TEXT = "a text"
    WHOLE = "a whole number"
    NUMBER = "a number"
    FLAG = "True or False"
    NAMES = "a list of texts"
    OBJECT = "an object (a dict)"
    PROMPT = "a text or a Prompt"
    MODEL = "a pydantic model"


_KINDS = {
    "str": Kind.TEXT,
    "int": Kind.WHOLE,
    "float": Kind.NUMBER,
    "bool": Kind.FLAG,
    "Sequence[str]": Kind.NAMES,
    "Mapping[str, Any]": Kind.OBJECT,
    "Prompt | str": Kind.PROMPT,
    "Any": Kind.MODEL,
}
"""By the annotation in the class."""
_OR_NONE = " | None"


@dataclass(frozen=True)
class Parameter:
    """A parameter of an `Enrichment`. `is_optional`: None is allowed. `is_required`: it has no useful default."""

    name: str
    kind: Kind
    is_optional: bool
    default: Any
    about: Description

    @property
    def is_required(self) -> bool:
        """Tell whether a run cannot do without it; `target` gives way to `table`."""
        return self.name in REQUIRED


REQUIRED = ("source", "target", "prompt", "model")


def parameters(of: Any) -> list[Parameter]:
    """Return the parameters of the class `Enrichment`, or of one, in the order of the descriptions."""
    fields_by_name = {field.name: field for field in fields(of)}
    return [
        _parameter(fields_by_name[name], about) for name, about in DESCRIPTIONS.items()
    ]


def _parameter(field: Field[Any], about: Description) -> Parameter:
    annotation = str(field.type)
    is_any = annotation == "Any"
    return Parameter(
        name=field.name,
        kind=_KINDS[annotation.removesuffix(_OR_NONE)],
        is_optional=is_any or annotation.endswith(_OR_NONE),
        default=_default(field),
        about=about,
    )


def _default(field: Field[Any]) -> Any:
    """Return the default; None for a parameter that has none."""
    if field.default_factory is not MISSING:
        return field.default_factory()
    return None if field.default is MISSING else field.default
