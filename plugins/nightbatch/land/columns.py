"""Landed rows as columns: what a landed shard tells of each request, but for its id, batch and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from nightbatch.land.judge import Landed
from nightbatch.land.landed_schema import statuses
from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.outcome import Status
from nightbatch.money.prices import SERVER_TOOLS

UNFIT = "a value does not fit its column's type"


@dataclass(frozen=True)
class Columns:
    """Rows in columns. `tiers` is null where nothing was used.

    tokens: a row each, by class. tools: a row each, the uses of each of SERVER_TOOLS.
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
        """Keep some rows (their numbers, rising)."""
        if len(rows) == len(self):
            return self
        places = pa.array(rows)
        counts = ("tokens", "tools")
        taken = {
            one.name: getattr(self, one.name).take(places)
            for one in fields(self)
            if one.name not in counts
        }
        return Columns(**taken, tokens=self.tokens[rows], tools=self.tools[rows])


def columns(rows: Sequence[Landed], answer: AnswerType) -> Columns:
    """Lay out rows; one whose value does not fit its column's type becomes `invalid`."""
    values, unfit = answer.columns([one.value for one in rows])
    for place in unfit:
        rows[place].status, rows[place].error = Status.INVALID, UNFIT
    used = [one.usage for one in rows]
    tokens = [(0,) * 5 if one is None else one.classes for one in used]
    tools = [(0, 0, 0) if one is None else one.tools for one in used]
    return Columns(
        statuses=statuses([one.status for one in rows]),
        errors=pa.array([one.error for one in rows], pa.string()),
        values=values,
        texts=pa.array([one.text for one in rows], pa.string()),
        models=pa.array([one.model for one in rows], pa.string()),
        stops=pa.array([one.stop_reason for one in rows], pa.string()),
        tiers=pa.array(
            [None if one is None else one.service_tier for one in used], pa.string()
        ),
        regions=pa.array(
            [None if one is None else one.inference_geo for one in used], pa.string()
        ),
        tokens=np.array(tokens, dtype=np.int64).reshape(-1, 5),
        tools=np.array(tools, dtype=np.int64).reshape(-1, len(SERVER_TOOLS)),
    )
