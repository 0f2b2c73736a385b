"""The listing of batches, newest first, as far back as a time; an incomplete listing is never taken for a whole one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from nightbatch.errors import ApiUnavailable
from nightbatch.ids import BatchId
from nightbatch.ports import Batch, Batches

CLOCKS = timedelta(hours=1)
"""More than any two clocks differ."""


def listed(api: Batches, first: datetime) -> Iterator[Batch]:
    """List the batches that were created since a time, and some older ones. Raises ApiUnavailable.

    If the last batch of a page is deleted before the next page is requested, that page may be empty.
    """
    after: BatchId | None = None
    while True:
        page = api.page(after)
        next_page = page.next
        is_broken_off = not page.batches or next_page == after
        if after is not None and is_broken_off:
            raise ApiUnavailable("the listing of batches broke off between two pages.")
        yield from page.batches
        if next_page is None:
            return
        if _reaches_before(page.batches, first):
            return
        after = next_page


def _reaches_before(batches: Sequence[Batch], first: datetime) -> bool:
    """Tell whether a page, newest batch first, ends with a batch that is older than a time."""
    return bool(batches) and batches[-1].created_at < first
