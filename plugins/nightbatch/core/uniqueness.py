"""Whether a key identifies rows: counts of nulls and duplicates over a stream, without keeping the values.

Each key is kept as a 128-bit digest, 16 bytes a row.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa

from nightbatch.core.errors import SourceError

_encode = msgspec.msgpack.Encoder(enc_hook=str).encode


@dataclass
class KeyCheck:
    """Counts what is wrong with the key columns of all rows added."""

    columns: list[str]
    nulls: int = 0
    rows: int = 0
    _digests: list[bytes] = field(default_factory=list)

    def add(self, rows: pa.RecordBatch) -> None:
        """Take in a batch of rows."""
        if not self.columns:
            return
        self.rows += rows.num_rows
        values = [rows.column(name).to_pylist() for name in self.columns]
        digests = bytearray()
        for key in zip(*values, strict=True):
            self.nulls += None in key
            digests += hashlib.blake2b(_encode(key), digest_size=16).digest()
        self._digests.append(bytes(digests))

    def check(self) -> None:
        """Raise SourceError if some key is null or stands twice; say how many, show none."""
        if not self.columns:
            return
        distinct = len(np.unique(np.frombuffer(b"".join(self._digests), dtype="V16"))) if self.rows else 0
        named = ", ".join(self.columns)
        if self.nulls:
            raise SourceError(f"key ({named}): {self.nulls} of {self.rows} rows have a null in it; a key has none.")
        if distinct < self.rows:
            raise SourceError(
                f"key ({named}): {self.rows - distinct} of {self.rows} rows repeat another row's key; "
                "name more columns, or remove the duplicates from the source."
            )
