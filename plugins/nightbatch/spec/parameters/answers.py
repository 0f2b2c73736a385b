"""Checks the answer's type: that the API takes the schema, and that its fields can be columns of the output."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from nightbatch.errors import AnswerTypeError, SettingsError
from nightbatch.messages.local_schema import local
from nightbatch.messages.schema import api_schema, definitions_of, resolve
from nightbatch.spec.parameters.output_columns import ANSWER_TEXT, check_names

if TYPE_CHECKING:
    from nightbatch.spec.enrichment import Enrichment

MAX_REASON = 300
"""Characters of a validator's message that are repeated: it quotes the schema, which may be long."""
_WARNED_OF = WeakSet[type[Any]]()
"""Models with validators that were named: a copy of an Enrichment, such as that of a run, does not repeat it."""


class AnswerWarning(UserWarning):
    """An answer model holds something that has no effect."""


def check(settings: Enrichment) -> None:
    """Raise InputError for a type of answer that cannot work; warn of validators, which are not run."""
    if settings.answer is not None and settings.answer_schema is not None:
        raise SettingsError(
            "answer_schema: answer is given too, and both say the same; keep one of them."
        )
    name = "answer_schema" if settings.answer is None else "answer"
    try:
        answer_names = field_names(settings)
    except AnswerTypeError as error:
        message = str(error).replace("answer_schema", name)
        raise AnswerTypeError(message) from None
    check_names(answer_names, settings.kept, name)
    if settings.answer is not None:
        _warn_of_validators(settings.answer)


def field_names(settings: Enrichment) -> list[str]:
    """Return the columns of the answer. Raises AnswerTypeError for a schema that the API would refuse."""
    schema = settings.answer_schema
    if settings.answer is not None:
        schema = _model_schema(settings.answer)
    if not schema:
        return [ANSWER_TEXT]
    local_schema = local(schema)
    if settings.answer is None:
        _check_form(local_schema)
    api_schema(local_schema)
    root = resolve(local_schema, definitions_of(local_schema))
    return list(root["properties"])


@lru_cache(maxsize=64)
def _model_schema(model: Any) -> Mapping[str, Any]:
    """Return the schema of a pydantic model. Raises AnswerTypeError where it has none."""
    try:
        schema: Mapping[str, Any] = model.model_json_schema()
    except (RuntimeError, TypeError, ValueError, NameError) as error:
        reason = _reason(error)
    else:
        return schema
    raise AnswerTypeError(f"answer: {model.__name__} has no JSON schema: {reason}")


def _check_form(schema: dict[str, Any]) -> None:
    """Refuse what is no JSON schema. A pydantic model writes none, so that DAG files seldom import the validator."""
    import jsonschema_rs

    try:
        jsonschema_rs.Draft202012Validator(schema)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        reason = _reason(error)
        raise AnswerTypeError(
            f"answer_schema: not a valid JSON schema: {reason}. Fix it."
        ) from None


def _reason(error: Exception) -> str:
    """Return the first line of an error's message, cut; the name of its class where it has none."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:MAX_REASON]


def _warn_of_validators(model: Any) -> None:
    """Warn of validators: an answer is checked against the schema alone."""
    if model in _WARNED_OF:
        return
    validators = sorted(set(_validators(model, set())))
    if validators:
        _WARNED_OF.add(model)
        warnings.warn(
            f"answer: {', '.join(validators)} will not be run: an answer is checked against the model's JSON schema"
            " alone. Write the rule as the field's type or a constraint, such as Literal['a', 'b'] or Field(ge=1), or"
            " in its description; `checks` watch what is published.",
            AnswerWarning,
            stacklevel=6,  # where the Enrichment is made
        )


def _validators(model: Any, seen: set[Any]) -> Iterator[str]:
    """Name the validators of a pydantic model, and of the models that its fields hold."""
    if model in seen:
        return
    seen.add(model)
    decorators = model.__pydantic_decorators__
    for kind in (
        "validators",
        "field_validators",
        "root_validators",
        "model_validators",
    ):
        for function_name in getattr(decorators, kind):
            yield f"{model.__name__}.{function_name}"
    for field_name, field in model.model_fields.items():
        markers = [type(marker).__name__ for marker in field.metadata]
        if any(marker.endswith("Validator") for marker in markers):
            yield f"{model.__name__}.{field_name}"
        for inner_model in _models(field.annotation):
            yield from _validators(inner_model, seen)


def _models(annotation: Any) -> Iterator[Any]:
    """Yield the pydantic models in an annotation such as `list[Item] | None`."""
    if hasattr(annotation, "__pydantic_decorators__"):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)
