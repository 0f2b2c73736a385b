"""The canary: one to three requests, a batch of their own, that go before all others.

A template, schema or model that the API does not take fails every row of a batch, an hour after it was sent. Asked of
three rows first it costs nothing, and the other rows are not bought. The canary also writes the shared prefix to the
cache, which the batches after it read, and its tokens measure what a row takes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nightbatch.core.outcome import Status

ATTEMPT = 0
"""The canary's place among the attempts; it counts as none of them."""

ROWS = 3


def representative(sizes: np.ndarray) -> list[int]:
    """Choose up to three requests by their sizes: a short one, one of middle length, a long one; by place, rising.

    None where no more are pending.
    """
    if len(sizes) <= ROWS:
        return []
    chosen: set[int] = set()
    ranks = [len(sizes) * eighths // 8 for eighths in (1, 4, 7)]
    for size in np.partition(sizes, ranks)[ranks]:
        alike = np.flatnonzero(sizes == size)[:ROWS].tolist()
        chosen.add(next(place for place in alike if place not in chosen))
    return sorted(chosen)


def all_rejected(statuses: Mapping[str, int]) -> bool:
    """Tell whether the API refused every request for what it is; one alone, sent to fill the cache, tells nothing."""
    return sum(statuses.values()) > 1 and set(statuses) == {str(Status.REJECTED)}
