"""The canary: one to three requests, a batch of their own, that go before all others.

A template, schema or model that the API does not take fails every row of a batch, an hour after it was sent. Asked of
three rows first it costs nothing, and the other rows are not bought. The canary also writes the shared prefix to the
cache, which the batches after it read, and its tokens measure what a row takes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from nightbatch.core.outcome import Status

ATTEMPT = 0
"""The canary's place among the attempts; it counts as none of them."""

ROWS = 3


def representative(pending: pa.Table) -> pa.Table:
    """Choose up to three requests: a short one, one of middle length, a long one. None where no more are pending."""
    count = pending.num_rows
    if count <= ROWS:
        return pending.slice(0, 0)
    order = np.argsort(np.asarray(pending.column("size")), kind="stable")
    places = {int(order[count * eighths // 8]) for eighths in (1, 4, 7)}
    return pending.take(pa.array(sorted(places)))


def all_rejected(statuses: Mapping[str, int]) -> bool:
    """Tell whether the API refused every request for what it is; one alone, sent to fill the cache, tells nothing."""
    return sum(statuses.values()) > 1 and set(statuses) == {str(Status.REJECTED)}
