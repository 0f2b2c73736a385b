"""Ids that are compared a span at a time, so that memory does not grow with how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from nightbatch.columnar.id_lookup import ALL, IdLookup, IdRange, Ids, repeats

ROUND = 1_000_000
"""Requests whose ids are compared at a time."""


class Repeats(NamedTuple):
    """Requests whose ids occurred before, and the requests where they first did: two columns of numbers."""

    again: np.ndarray
    first: np.ndarray


@dataclass(frozen=True)
class IdRound:
    """The requests of one span of ids, each id once, where it first occurs: their numbers, and what finds them."""

    numbers: np.ndarray
    lookup: IdLookup
    repeats: Repeats
    span: IdRange = ALL

    @classmethod
    def from_ids(cls, numbers: np.ndarray, ids: Ids, span: IdRange = ALL) -> IdRound:
        """Make a round of the requests whose ids are in a span."""
        lookup = IdLookup(ids)
        if not lookup.has_duplicates:
            no_repeats = Repeats(numbers[:0], numbers[:0])
            return cls(numbers, lookup, no_repeats, span)
        repeat_places = repeats(ids)
        is_first = np.ones(len(numbers), dtype=bool)
        is_first[repeat_places] = False
        lookup = IdLookup(ids.filter(pa.array(is_first)))
        first_numbers = numbers[is_first]
        repeated_ids = ids.take(pa.array(repeat_places))
        rows, places = lookup.find(repeated_ids)
        repeat_numbers = numbers[repeat_places[rows]]
        id_repeats = Repeats(repeat_numbers, first_numbers[places])
        return cls(first_numbers, lookup, id_repeats, span)

    def look_up(self, ids: Ids) -> tuple[np.ndarray, np.ndarray]:
        """Return which of these ids (by position) are of this round, and the numbers of their requests."""
        if self.span == ALL:
            rows, places = self.lookup.find(ids)
            return rows, self.numbers[places]
        span_rows = self.span.places(ids)
        span_ids = ids.take(pa.array(span_rows))
        rows, places = self.lookup.find(span_ids)
        return span_rows[rows], self.numbers[places]
