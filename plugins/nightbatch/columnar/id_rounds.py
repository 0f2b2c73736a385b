"""Ids that are compared a span at a time, so that memory does not grow with how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from nightbatch.columnar.id_lookup import ALL, Finder, Ids, Span, repeats

ROUND = 1_000_000
"""Requests whose ids are compared at a time."""


class Repeats(NamedTuple):
    """Requests that stood before, and where they first did: two columns of numbers."""

    again: np.ndarray
    first: np.ndarray


@dataclass(frozen=True)
class Round:
    """The requests of one span of ids, each id once, where it first stands: their numbers, and what finds them."""

    numbers: np.ndarray
    finder: Finder
    repeats: Repeats
    span: Span = ALL

    @classmethod
    def of(cls, numbers: np.ndarray, ids: Ids, span: Span = ALL) -> Round:
        """Make a round of the requests whose ids are in a span."""
        if not (finder := Finder(ids)).twice:
            return cls(numbers, finder, Repeats(numbers[:0], numbers[:0]), span)
        again = repeats(ids)
        kept = np.ones(len(numbers), dtype=bool)
        kept[again] = False
        finder, firsts = Finder(ids.filter(pa.array(kept))), numbers[kept]
        rows, places = finder.find(ids.take(pa.array(again)))
        return cls(firsts, finder, Repeats(numbers[again[rows]], firsts[places]), span)

    def look_up(self, ids: Ids) -> tuple[np.ndarray, np.ndarray]:
        """Return which of these ids (by position) are of this round, and the numbers of their requests."""
        near = None if self.span == ALL else self.span.places(ids)
        rows, places = self.finder.find(
            ids if near is None else ids.take(pa.array(near))
        )
        return rows if near is None else near[rows], self.numbers[places]
