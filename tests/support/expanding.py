"""Parquet files that are small and decode to much."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from tests.support.parquet import parquet

LONG = "x" * 20_000


def expanding(short: int, long: int, text: str = LONG, **layout: Any) -> bytes:
    """Write a file with short rows first, and then rows of one long text that a dictionary holds once."""
    codes = pa.array([0] * short + [1] * long, pa.int32())
    texts = pa.DictionaryArray.from_arrays(codes, pa.array(["a", text]))
    table = pa.table({"id": range(len(codes)), "text": texts})
    return parquet(table, store_schema=False, **layout)
