"""The Params of a DAG whose runs set the parameters of an `Enrichment`, as the trigger form shows them."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.parameters.form import FormField, form_fields


def form_params(**defaults: Any) -> dict[str, Param]:
    """Return a Param for each parameter that a form may set, by name, for `DAG(params=…)`.

    :param defaults: what the form holds when it is opened, in the place of the parameters' own defaults.
    """
    fields = form_fields(Enrichment, defaults)
    return {name: _param(field) for name, field in fields.items()}


def _param(field: FormField) -> Param:
    return Param(field.default, description_md=field.description, **field.schema)
