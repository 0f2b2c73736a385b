"""Reading the results of an ended batch until they tally with it, or until no more is to be had.

A stream that is short, broken or garbled is read again, a bounded number of times, and each reading adds what those
before it lacked. What is missing then is lost, and free to be asked again; but results that could not be read at all
are not lost: they are paid for, so the task fails and is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pyarrow as pa

from nightbatch.columnar.threads import beside
from nightbatch.errors import ApiUnavailable, BatchGone, Incomplete, NotEnded
from nightbatch.failpoints import reach
from nightbatch.land.landing import Landing
from nightbatch.ledger.facts import Bought
from nightbatch.messages.listing import listed
from nightbatch.ports import Batch, Batches

READINGS = 6
BLOCK = 8 * 1024 * 1024
"""Bytes of results that are read at a time: each block costs some milliseconds of hand-over and of calls."""
LONGEST_LINE = 32 * 1024 * 1024
"""Bytes: the longest answer of any model, 300,000 tokens, takes about two megabytes."""
TOO_LONG = b" too long"
"""Ends what is kept of a line that is too long: with it no line is JSON."""
MOST_PASSED = 1024 * 1024 * 1024
"""Bytes: a stream with more than this in lines that are too long is broken, and may have no end."""
FEW = 1_000
"""Up to so many results may be given up for lost when their stream breaks each time; more are waited for."""
KEPT = timedelta(days=29)
"""For so long after a batch's creation its results can be read."""
CLOCKS = timedelta(hours=1)
"""More than any two clocks differ."""

Write = Callable[[pa.RecordBatch], None]
Pause = Callable[[float], None]


class Reading(NamedTuple):
    """What the reading of results came to: why those that are missing are, and when the batch ended."""

    why_missing: str
    ended_at: datetime | None


def read(
    bought: Bought, landing: Landing, api: Batches, write: Write, pause: Pause
) -> Reading:
    """Read the results until they tally, as often as is worth it."""
    batch: Batch | None = None
    trouble: Exception = Incomplete()
    for reading in range(READINGS):
        if reading:
            pause(_pause(reading, trouble))
        try:
            batch = batch or _ended(api.batch(bought.batch))
            _read_once(batch, landing, api, write)
            trouble = Incomplete(f"batch {bought.batch}: {landing.gap(batch.counts)}.")
        except (ApiUnavailable, BatchGone) as error:
            trouble = error
        if batch is not None and landing.gap(batch.counts) is None:
            return Reading("", batch.ended_at)
    why_missing = _give_up(bought, batch, landing, api, trouble)
    return Reading(why_missing, batch.ended_at if batch else None)


def _read_once(batch: Batch, landing: Landing, api: Batches, write: Write) -> None:
    landing.begin()
    with api.results(batch.id) as chunks:
        reach("results opened")
        for picked in beside(landing.read, blocks(chunks)):
            write(landing.take(picked))
            reach("block of results read")


def _give_up(
    bought: Bought,
    batch: Batch | None,
    landing: Landing,
    api: Batches,
    trouble: Exception,
) -> str:
    """Say why what is still missing is lost, or raise where it may still be read: it is paid for."""
    if isinstance(trouble, BatchGone):
        if batch is None and not _listed(api, bought):
            return f"batch {bought.batch} was deleted before its results were read"
        if batch is not None and (
            batch.archived or datetime.now(UTC) - batch.created_at > KEPT
        ):
            return f"the results of batch {bought.batch} are no longer kept by the API"
        raise ApiUnavailable(
            f"batch {bought.batch} has ended, but its results are not there: {trouble}"
        )
    nothing = not landing.roll.told and not landing.odd
    few = landing.missed <= FEW
    if (isinstance(trouble, ApiUnavailable) and (nothing or not few)) or (
        nothing and not few
    ):
        raise trouble
    return (
        f"not in the results of batch {bought.batch}, which were read {READINGS} times"
    )


def _ended(batch: Batch) -> Batch:
    if not batch.ended:
        raise NotEnded(
            f"batch {batch.id} has not ended yet: it has no results to land."
        )
    return batch


def _listed(api: Batches, bought: Bought) -> bool:
    """Tell whether the API lists a batch; only the list of a batch's own time is looked at, by whichever clock."""
    return any(
        batch.id == bought.batch for batch in listed(api, bought.created_at - CLOCKS)
    )


def _pause(reading: int, trouble: Exception) -> float:
    """Seconds before the next reading: a short stream is read again soon, an API in trouble later."""
    if isinstance(trouble, Incomplete):
        return 0.5
    told = trouble.retry_after if isinstance(trouble, ApiUnavailable) else None
    return min(30.0, max(told or 0.0, 2.0 ** (reading - 1)))


def blocks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Gather chunks into blocks of whole lines; a last line without an end is given out as it is.

    A line that is longer than LONGEST_LINE is passed over, with TOO_LONG in its place, which counts as garbled. Where
    the stream breaks, the whole lines before the break are given out first.
    """
    held, size = list[bytes](), 0
    try:
        for chunk in _without_long_lines(chunks):
            held.append(chunk)
            size += len(chunk)
            if size >= BLOCK and (end := chunk.rfind(b"\n") + 1):
                held[-1] = chunk[:end]
                yield b"".join(held)
                held, size = [chunk[end:]], len(chunk) - end
    except ApiUnavailable:
        whole = b"".join(held)
        yield whole[: whole.rfind(b"\n") + 1]
        raise
    if size:
        yield b"".join(held)


def _without_long_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass over what a line has beyond LONGEST_LINE, and end the line with TOO_LONG, which makes it garbled."""
    length = 0  # bytes of the line that is being read
    passed = 0  # bytes that were passed over, in all lines
    for chunk in chunks:
        first_end = chunk.find(b"\n")
        length += len(chunk) if first_end < 0 else first_end
        if length <= LONGEST_LINE:
            yield chunk
        else:
            start = len(chunk) if first_end < 0 else first_end
            passed += start
            if passed > MOST_PASSED:
                raise ApiUnavailable(
                    f"the results hold more than {MOST_PASSED:,} bytes in lines that are too long."
                )
            if first_end >= 0:
                yield TOO_LONG + chunk[start:]
        if first_end >= 0:
            length = len(chunk) - chunk.rfind(b"\n") - 1
    if length > LONGEST_LINE:
        yield TOO_LONG
