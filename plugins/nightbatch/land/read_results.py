"""Read the results of an ended batch until they tally with it, or until no more can be read.

A stream that is short, broken or garbled is read again, a bounded number of times, and each reading adds results that
the earlier ones lacked. Results still missing then are lost, and their requests may be sent again. But results that
could not be read at all are not lost: they are paid for, so the task fails and is retried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pyarrow as pa

from nightbatch.columnar.threads import map_in_thread
from nightbatch.errors import ApiUnavailable, BatchGone, Incomplete, NotEnded
from nightbatch.failpoints import reach
from nightbatch.land.landing import Landing
from nightbatch.ledger.facts import Bought
from nightbatch.messages.listing import CLOCKS, listed
from nightbatch.ports import Batch, Batches
from nightbatch.retrying import Backoff

READINGS = 6
AFTER_SHORT_STREAM_SECONDS = 0.5
AFTER_API_ERROR = Backoff(first_seconds=1.0, most_seconds=30.0)
BLOCK = 8 * 1024 * 1024
"""Bytes of results that are read at a time: each block costs a few milliseconds to hand to a thread and process."""
LONGEST_LINE = 32 * 1024 * 1024
"""Bytes: the longest answer of any model, 300,000 tokens, is about two megabytes."""
TOO_LONG = b" too long"
"""Replaces the end of a line that is too long: with it no line is JSON."""
MOST_PASSED = 1024 * 1024 * 1024
"""Bytes: a stream with more than this in lines that are too long is broken, and may never end."""
FEW = 1_000
"""Up to this many results are marked as lost if every reading breaks off; if more are missing, the task is retried."""
KEPT = timedelta(days=29)
"""How long after a batch's creation its results can be read."""

Write = Callable[[pa.RecordBatch], None]
Pause = Callable[[float], None]


class Reading(NamedTuple):
    """The end of reading results: why some are missing (empty: none are), and when the batch ended."""

    why_missing: str
    ended_at: datetime | None


def read(
    bought: Bought, landing: Landing, api: Batches, write: Write, pause: Pause
) -> Reading:
    """Read the results until they tally, at most READINGS times."""
    batch: Batch | None = None
    last_error: Exception = Incomplete()
    for reading_number in range(READINGS):
        if reading_number:
            pause(_pause_seconds(reading_number, last_error))
        try:
            batch = batch or _ended(api.batch(bought.batch))
            _read_once(batch, landing, api, write)
            gap = landing.gap(batch.counts)
            last_error = Incomplete(f"batch {bought.batch}: {gap}.")
        except (ApiUnavailable, BatchGone) as error:
            last_error = error
        if batch is not None and landing.gap(batch.counts) is None:
            return Reading("", batch.ended_at)
    why_missing = _why_lost(bought, batch, landing, api, last_error)
    return Reading(why_missing, batch.ended_at if batch else None)


def _read_once(batch: Batch, landing: Landing, api: Batches, write: Write) -> None:
    landing.begin()
    with api.results(batch.id) as chunks:
        reach("results opened")
        for picked in map_in_thread(landing.read, blocks(chunks)):
            landed_rows = landing.take(picked)
            write(landed_rows)
            reach("block of results read")


def _why_lost(
    bought: Bought,
    batch: Batch | None,
    landing: Landing,
    api: Batches,
    last_error: Exception,
) -> str:
    """Return why the missing results are lost; raise if they may still be read later, since they are paid for."""
    if isinstance(last_error, BatchGone):
        return _why_gone(bought, batch, api, last_error)
    nothing_read = not landing.received.count and not landing.odd
    many_missing = landing.missing_count > FEW
    if isinstance(last_error, ApiUnavailable):
        is_readable_later = nothing_read or many_missing
    else:
        is_readable_later = nothing_read and many_missing
    if is_readable_later:
        raise last_error
    return (
        f"not in the results of batch {bought.batch}, which were read {READINGS} times"
    )


def _why_gone(
    bought: Bought, batch: Batch | None, api: Batches, last_error: BatchGone
) -> str:
    """Return why the results no longer exist; raise ApiUnavailable if they should still exist."""
    if batch is None:
        is_deleted = not _listed(api, bought)
        if is_deleted:
            return f"batch {bought.batch} was deleted before its results were read"
    else:
        is_expired = datetime.now(UTC) - batch.created_at > KEPT
        if batch.archived or is_expired:
            return f"the results of batch {bought.batch} are no longer kept by the API"
    raise ApiUnavailable(
        f"batch {bought.batch} has ended, but its results are not there: {last_error}"
    )


def _ended(batch: Batch) -> Batch:
    if not batch.ended:
        raise NotEnded(
            f"batch {batch.id} has not ended yet: it has no results to land."
        )
    return batch


def _listed(api: Batches, bought: Bought) -> bool:
    """Check whether the API lists a batch. Reads only the list since the batch's creation, by any clock."""
    earliest_creation = bought.created_at - CLOCKS
    listed_batches = listed(api, earliest_creation)
    return any(batch.id == bought.batch for batch in listed_batches)


def _pause_seconds(reading_number: int, last_error: Exception) -> float:
    """Return the seconds before the next reading: few after a short stream, more after an API error."""
    if isinstance(last_error, Incomplete):
        return AFTER_SHORT_STREAM_SECONDS
    retry_after = None
    if isinstance(last_error, ApiUnavailable):
        retry_after = last_error.retry_after
    pause_seconds = AFTER_API_ERROR.pause(reading_number, retry_after)
    # Not longer, whatever the API asks for: a worker is held meanwhile, and the task is retried later anyway.
    return min(AFTER_API_ERROR.most_seconds, pause_seconds)


def blocks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Gather chunks into blocks of whole lines; a last line without a line end is yielded as it is.

    A line that is longer than LONGEST_LINE is skipped, with TOO_LONG in its place, which counts as garbled. If
    the stream breaks, the whole lines before the break are yielded first.
    """
    pending_chunks: list[bytes] = []
    pending_size = 0  # bytes
    try:
        for chunk in _without_long_lines(chunks):
            pending_chunks.append(chunk)
            pending_size += len(chunk)
            if pending_size < BLOCK:
                continue
            line_end = chunk.rfind(b"\n") + 1
            if line_end:
                pending_chunks[-1] = chunk[:line_end]
                yield b"".join(pending_chunks)
                pending_chunks = [chunk[line_end:]]
                pending_size = len(chunk) - line_end
    except ApiUnavailable:
        pending_bytes = b"".join(pending_chunks)
        last_line_end = pending_bytes.rfind(b"\n") + 1
        yield pending_bytes[:last_line_end]
        raise
    if pending_size:
        yield b"".join(pending_chunks)


def _without_long_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Skip the bytes of a line beyond LONGEST_LINE, and end the line with TOO_LONG, which makes it garbled."""
    line_size = 0  # bytes of the line that is being read
    skipped_size = 0  # bytes that were skipped, in all lines
    for chunk in chunks:
        line_end = chunk.find(b"\n")
        has_line_end = line_end >= 0
        size_in_line = line_end if has_line_end else len(chunk)
        line_size += size_in_line
        if line_size <= LONGEST_LINE:
            yield chunk
        else:
            skipped_size += size_in_line
            if skipped_size > MOST_PASSED:
                raise ApiUnavailable(
                    f"the results hold more than {MOST_PASSED:,} bytes in lines that are too long."
                )
            if has_line_end:
                yield TOO_LONG + chunk[line_end:]
        if has_line_end:
            last_line_start = chunk.rfind(b"\n") + 1
            line_size = len(chunk) - last_line_start
    if line_size > LONGEST_LINE:
        yield TOO_LONG
