"""Verdicts as columns: the columns of a landed shard, except for id, batch and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from nightbatch.land.judge import Verdict
from nightbatch.land.landed_schema import statuses
from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.outcome import Status
from nightbatch.messages.usage import TOKENS, TokenUsage
from nightbatch.money.prices import SERVER_TOOLS

UNFIT = "a value does not fit its column's type"
_NUMPY_COLUMNS = ("tokens", "tools")


@dataclass(frozen=True)
class Columns:
    """Rows as columns. `tiers` is null where nothing was used.

    tokens: one row per request, by class. tools: one row per request, the uses of each of SERVER_TOOLS.
    """

    statuses: pa.DictionaryArray
    errors: pa.Array
    values: pa.Array
    texts: pa.Array
    models: pa.Array
    stops: pa.Array
    tiers: pa.Array
    regions: pa.Array
    tokens: np.ndarray
    tools: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: np.ndarray) -> Columns:
        """Keep rows by their numbers, which are in ascending order."""
        if len(rows) == len(self):
            return self
        row_numbers = pa.array(rows)
        arrow_columns: dict[str, pa.Array] = {}
        for column_field in fields(self):
            if column_field.name in _NUMPY_COLUMNS:
                continue
            column = getattr(self, column_field.name)
            arrow_columns[column_field.name] = column.take(row_numbers)
        kept_tokens = self.tokens[rows]
        kept_tools = self.tools[rows]
        return Columns(**arrow_columns, tokens=kept_tokens, tools=kept_tools)


def columns(verdicts: Sequence[Verdict], answer: AnswerType) -> Columns:
    """Lay out verdicts as columns; one whose value does not fit its column's type becomes `invalid`."""
    values, unfit_rows = answer.columns([verdict.value for verdict in verdicts])
    for row in unfit_rows:
        verdicts[row].status = Status.INVALID
        verdicts[row].error = UNFIT
    usages = [verdict.usage for verdict in verdicts]
    tiers = [usage.service_tier if usage else None for usage in usages]
    regions = [usage.inference_geo if usage else None for usage in usages]
    return Columns(
        statuses=statuses([verdict.status for verdict in verdicts]),
        errors=_strings([verdict.error for verdict in verdicts]),
        values=values,
        texts=_strings([verdict.text for verdict in verdicts]),
        models=_strings([verdict.model for verdict in verdicts]),
        stops=_strings([verdict.stop_reason for verdict in verdicts]),
        tiers=_strings(tiers),
        regions=_strings(regions),
        tokens=_token_counts(usages),
        tools=_tool_uses(usages),
    )


def _strings(words: list[str | None]) -> pa.Array:
    return pa.array(words, pa.string())


def _token_counts(usages: list[TokenUsage | None]) -> np.ndarray:
    class_count = len(TOKENS)
    no_tokens = (0,) * class_count
    counts = [usage.classes if usage else no_tokens for usage in usages]
    return np.array(counts, dtype=np.int64).reshape(-1, class_count)


def _tool_uses(usages: list[TokenUsage | None]) -> np.ndarray:
    tool_count = len(SERVER_TOOLS)
    no_uses = (0,) * tool_count
    uses = [usage.tools if usage else no_uses for usage in usages]
    return np.array(uses, dtype=np.int64).reshape(-1, tool_count)
