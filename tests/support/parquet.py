"""Tables as the bytes of Parquet files."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.emulator.fixtures import (  # noqa: F401 - a conftest below the root cannot name plugins
    message_batches_api,
    message_batches_server,
)


def parquet(table: pa.Table, **how: Any) -> bytes:
    """Return a table as the bytes of a Parquet file."""
    out = io.BytesIO()
    pq.write_table(table, out, **how)
    return out.getvalue()
