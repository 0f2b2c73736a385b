"""Parquet in and out of a store: files are read by column, and written whole or not at all."""

from nightbatch.columnar.parquet.reading import (
    STEP_ROWS,
    batches,
    batches_of,
    file,
    in_steps,
    metadata,
    table,
    whole,
)
from nightbatch.columnar.parquet.row_groups import RowGroups, groups
from nightbatch.columnar.parquet.writing import (
    GROUP_BYTES,
    GROUP_ROWS,
    PLAIN,
    USUAL,
    GroupLayout,
    ParquetUpload,
)

__all__ = [
    "GROUP_BYTES",
    "GROUP_ROWS",
    "PLAIN",
    "STEP_ROWS",
    "USUAL",
    "GroupLayout",
    "ParquetUpload",
    "RowGroups",
    "batches",
    "batches_of",
    "file",
    "groups",
    "in_steps",
    "metadata",
    "table",
    "whole",
]
