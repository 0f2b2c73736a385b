"""The staged requests of a run, by number: they count on through all parts. Their ids are read when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from nightbatch.columnar import parquet
from nightbatch.columnar.id_lookup import ID, Ids, Span, spans
from nightbatch.columnar.id_rounds import ROUND, Round
from nightbatch.ledger import keys
from nightbatch.ledger.ledger import CLAIM
from nightbatch.messages.request import Frame
from nightbatch.money.prompt_tokens import Sizes
from nightbatch.ports import Reads
from nightbatch.spec.run import Run


class Asked:
    """All staged requests of a run."""

    def __init__(self, run: Run, store: Reads) -> None:
        self._run, self._store = run, store
        files = [
            parquet.file(store, keys.requests(run.snapshot, part))
            for part in range(run.parts)
        ]
        self.starts = np.cumsum([0, *(file.metadata.num_rows for file in files)])
        self.has_media = any(
            "media_tokens" in file.schema_arrow.names for file in files
        )
        self._last: tuple[int, pa.Array] = (-1, pa.array([], ID))

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
        """Most tokens of each content's images and documents; None where the template has neither."""
        return self._counts("media_tokens", np.int64) if self.has_media else None

    def ids(self, part: int) -> pa.Array:
        """Read the ids of a part; the part that was read last is kept."""
        if self._last[0] != part:
            self._last = (part, self._column(part, "id").combine_chunks())
        return self._last[1]

    def rounds(self, most: int = ROUND) -> Iterator[tuple[Span, Round]]:
        """Go through all requests, a span of ids at a time, about so many of them."""
        for span in spans(len(self), most):
            numbers, ids = list[np.ndarray](), list[pa.Array]()
            for part, start in enumerate(self.starts[:-1].tolist()):
                some = self.ids(part)
                places = span.places(some)
                numbers.append((places + start).astype(np.int32))
                ids.append(
                    some if len(places) == len(some) else some.take(pa.array(places))
                )
            together = pa.concat_arrays([pa.array([], ID), *ids])
            yield (
                span,
                Round.of(
                    np.concatenate([np.empty(0, np.int32), *numbers]), together, span
                ),
            )

    def part(self, number: int) -> int:
        """Tell in which part a request is staged."""
        return int(np.searchsorted(self.starts, number, side="right")) - 1

    def contents(self, numbers: np.ndarray) -> list[bytes]:
        """Read the contents of some requests (rising)."""
        contents: list[bytes] = []
        groups = parquet.Groups(self._store, ["content"])
        edges = np.searchsorted(numbers, self.starts)
        for part in np.flatnonzero(np.diff(edges)).tolist():
            mine = numbers[edges[part] : edges[part + 1]] - self.starts[part]
            table, places = groups.rows(keys.requests(self._run.snapshot, part), mine)
            contents += table.column("content").take(pa.array(places)).to_pylist()
        return contents

    def _counts(self, name: str, kind: type[np.integer[Any]]) -> np.ndarray:
        counts = np.empty(len(self), dtype=kind)
        for part, (start, stop) in enumerate(pairwise(self.starts.tolist())):
            counts[start:stop] = np.asarray(self._column(part, name))
        return counts

    def _column(self, part: int, name: str) -> Ids:
        return parquet.table(
            self._store, keys.requests(self._run.snapshot, part), [name]
        ).column(name)


@dataclass(frozen=True)
class Requests:
    """Some of the staged requests, by number, rising."""

    staged: Asked
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def sizes(self) -> np.ndarray:
        """The bytes of each content."""
        return self._of(self.staged.sizes)

    @property
    def token_sizes(self) -> Sizes:
        """What the tokens of each one's prompt are estimated from."""
        media = self.staged.media_tokens
        return Sizes(
            self._of(self.staged.text_sizes), None if media is None else self._of(media)
        )

    def body_size(self, frame: Frame) -> int:
        """Count the exact bytes of a body that holds them."""
        return frame.body_size(int(self.sizes.sum(dtype=np.int64)), len(self))

    def __getitem__(self, places: range | slice | list[int] | np.ndarray) -> Requests:
        """Keep some of them, by place."""
        chosen = (
            slice(places.start, places.stop) if isinstance(places, range) else places
        )
        return Requests(self.staged, self.numbers[chosen])

    def _of(self, values: np.ndarray) -> np.ndarray:
        return values if len(self) == len(values) else values[self.numbers]

    def as_claim(self) -> pa.Table:
        """Read what a claim holds of them: their ids, and the part where each is staged."""
        tables = [CLAIM.empty_table()]
        edges = np.searchsorted(self.numbers, self.staged.starts)
        for part in np.flatnonzero(np.diff(edges)).tolist():
            mine = (
                self.numbers[edges[part] : edges[part + 1]] - self.staged.starts[part]
            )
            ids = self.staged.ids(part).take(pa.array(mine))
            tables.append(
                pa.table(
                    [ids, pa.repeat(pa.scalar(part, pa.int32()), len(ids))],
                    schema=CLAIM,
                )
            )
        return pa.concat_tables(tables)
