"""The listing of batches, newest first, as far back as a time; one that breaks off is never taken for a whole one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from nightbatch.errors import ApiUnavailable
from nightbatch.ids import BatchId
from nightbatch.ports import Batch, Batches


def listed(api: Batches, first: datetime) -> Iterator[Batch]:
    """List the batches that were created since a time, and some older ones. Raises ApiUnavailable.

    Where the batch that a page ends with is deleted before the next is asked for, that page may come empty.
    """
    after: BatchId | None = None
    while True:
        page = api.page(after)
        if after is not None and (not page.batches or page.next == after):
            raise ApiUnavailable("the listing of batches broke off between two pages.")
        yield from page.batches
        if page.next is None or (page.batches and page.batches[-1].created_at < first):
            return
        after = page.next
