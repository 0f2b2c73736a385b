"""The columns that a published partition has besides those of the source and of the answer."""

from __future__ import annotations

import pyarrow as pa

from nightbatch.errors import SettingsError
from nightbatch.messages.answer_type import AnswerType
from nightbatch.spec.checks import OFF, Checks
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.parameters.output_columns import REQUEST_ID

OURS = [
    pa.field(REQUEST_ID, pa.string()),
    pa.field("_status", pa.string()),
    pa.field("_error", pa.string()),
    pa.field("_model", pa.string()),
    pa.field("_stop_reason", pa.string()),
    pa.field("_batch_id", pa.string()),
    pa.field("_input_tokens", pa.int64()),
    pa.field("_output_tokens", pa.int64()),
    pa.field("_cost_usd", pa.float64()),
]


def check_drift(enrichment: Enrichment, answer: AnswerType) -> None:
    """Refuse before the purchase a check of columns that the output will not have; only names of kept ones count."""
    kept_fields = [pa.field(name, pa.string()) for name in enrichment.kept]
    output_schema = pa.schema([*kept_fields, *answer.fields, *OURS])
    require_categories(Checks.read(enrichment.checks), output_schema)


def require_categories(checks: Checks, schema: pa.Schema) -> None:
    """Refuse a check of drift in columns that the output does not have, or that hold no categories."""
    if checks.drift == OFF:
        return
    names = checks.columns
    missing_names = [name for name in names if name not in schema.names]
    if missing_names:
        raise SettingsError(
            f"checks: drift names {', '.join(missing_names)}, which is no column of the output."
        )
    fields = [schema.field(name) for name in names]
    nested_names = [field.name for field in fields if pa.types.is_nested(field.type)]
    if nested_names:
        raise SettingsError(
            f"checks: drift names {', '.join(nested_names)}: a list or an object is no category."
        )
