"""The staged requests of a run, numbered through all parts. Their ids are read when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from nightbatch.columnar import parquet
from nightbatch.columnar.id_lookup import ID, IdRange, Ids, id_ranges
from nightbatch.columnar.id_rounds import ROUND, IdRound
from nightbatch.ledger import keys
from nightbatch.ledger.ledger import CLAIM
from nightbatch.messages.request import Frame
from nightbatch.money.prompt_tokens import Sizes
from nightbatch.ports import Reads
from nightbatch.spec.run import Run


class StagedRequests:
    """All staged requests of a run."""

    def __init__(self, run: Run, store: Reads) -> None:
        self._run = run
        self._store = store
        files = [
            parquet.file(store, keys.requests(run.snapshot, part))
            for part in range(run.parts)
        ]
        request_counts = [file.metadata.num_rows for file in files]
        self.starts = np.cumsum([0, *request_counts])
        self.has_media = any(
            "media_tokens" in file.schema_arrow.names for file in files
        )
        self._last_part = -1
        self._last_ids: pa.Array = pa.array([], ID)

    def __len__(self) -> int:
        return int(self.starts[-1])

    @cached_property
    def sizes(self) -> np.ndarray:
        """The bytes of each content."""
        return self._counts("size", np.int32)

    @cached_property
    def text_sizes(self) -> np.ndarray:
        """The bytes of each content without those of images and documents."""
        return self._counts("text_size", np.int32) if self.has_media else self.sizes

    @cached_property
    def media_tokens(self) -> np.ndarray | None:
        """Most tokens of each content's images and documents; None if the template has neither."""
        return self._counts("media_tokens", np.int64) if self.has_media else None

    def ids(self, part: int) -> pa.Array:
        """Read the ids of a part; the part that was read last is kept in memory."""
        if self._last_part != part:
            self._last_ids = self._column(part, "id").combine_chunks()
            self._last_part = part
        return self._last_ids

    def rounds(self, most: int = ROUND) -> Iterator[tuple[IdRange, IdRound]]:
        """Go through all requests by spans of ids, about `most` requests at a time."""
        for span in id_ranges(len(self), most):
            yield span, self._round(span)

    def _round(self, span: IdRange) -> IdRound:
        """Read the requests of all parts whose ids are in a span."""
        numbers = [np.empty(0, np.int32)]
        ids = [pa.array([], ID)]
        part_starts = self.starts[:-1].tolist()
        for part, start in enumerate(part_starts):
            part_ids = self.ids(part)
            places = span.places(part_ids)
            part_numbers = places + start
            numbers.append(part_numbers.astype(np.int32))
            if len(places) < len(part_ids):
                part_ids = part_ids.take(pa.array(places))
            ids.append(part_ids)
        all_ids = pa.concat_arrays(ids)
        all_numbers = np.concatenate(numbers)
        return IdRound.from_ids(all_numbers, all_ids, span)

    def part(self, number: int) -> int:
        """Return the part in which a request is staged."""
        return int(np.searchsorted(self.starts, number, side="right")) - 1

    def contents(self, numbers: np.ndarray) -> list[bytes]:
        """Read the contents of some requests (rising)."""
        contents: list[bytes] = []
        groups = parquet.RowGroups(self._store, ["content"])
        for part, part_rows in self.rows_by_part(numbers):
            key = keys.requests(self._run.snapshot, part)
            table, places = groups.rows(key, part_rows)
            content_column = table.column("content")
            part_contents = content_column.take(pa.array(places))
            contents += part_contents.to_pylist()
        return contents

    def rows_by_part(self, numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Return the parts in which requests (rising) are staged, each with the rows of its requests."""
        edges = np.searchsorted(numbers, self.starts)
        part_counts = np.diff(edges)
        used_parts = np.flatnonzero(part_counts).tolist()
        for part in used_parts:
            first = edges[part]
            end = edges[part + 1]
            part_rows = numbers[first:end] - self.starts[part]
            yield part, part_rows

    def _counts(self, name: str, kind: type[np.integer[Any]]) -> np.ndarray:
        counts = np.empty(len(self), dtype=kind)
        part_bounds = pairwise(self.starts.tolist())
        for part, (start, stop) in enumerate(part_bounds):
            part_column = self._column(part, name)
            part_counts = np.asarray(part_column)
            counts[start:stop] = part_counts
        return counts

    def _column(self, part: int, name: str) -> Ids:
        key = keys.requests(self._run.snapshot, part)
        return parquet.table(self._store, key, [name]).column(name)


@dataclass(frozen=True)
class RequestSet:
    """Some of the staged requests, by number, rising."""

    staged: StagedRequests
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def sizes(self) -> np.ndarray:
        """The bytes of each content."""
        return self._select(self.staged.sizes)

    @property
    def token_sizes(self) -> Sizes:
        """The sizes from which the tokens of each prompt are estimated."""
        text_sizes = self._select(self.staged.text_sizes)
        media_tokens = self.staged.media_tokens
        if media_tokens is not None:
            media_tokens = self._select(media_tokens)
        return Sizes(text_sizes, media_tokens)

    def body_size(self, frame: Frame) -> int:
        """Count the exact bytes of a body that holds them."""
        content_bytes = int(self.sizes.sum(dtype=np.int64))
        return frame.body_size(content_bytes, len(self))

    def __getitem__(self, places: range | slice | list[int] | np.ndarray) -> RequestSet:
        """Keep the requests at these places."""
        if isinstance(places, range):
            places = slice(places.start, places.stop)
        return RequestSet(self.staged, self.numbers[places])

    def _select(self, values: np.ndarray) -> np.ndarray:
        return values if len(self) == len(values) else values[self.numbers]

    def as_claim(self) -> pa.Table:
        """Read what a claim holds of them: their ids, and the part where each is staged."""
        tables = [CLAIM.empty_table()]
        for part, part_rows in self.staged.rows_by_part(self.numbers):
            part_ids = self.staged.ids(part)
            ids = part_ids.take(pa.array(part_rows))
            part_value = pa.scalar(part, pa.int32())
            part_column = pa.repeat(part_value, len(ids))
            part_table = pa.table([ids, part_column], schema=CLAIM)
            tables.append(part_table)
        return pa.concat_tables(tables)
