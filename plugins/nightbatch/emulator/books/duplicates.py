"""What came more than once: contents of requests, counted within batches and across them, and where they stand."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import compress
from typing import Any

from nightbatch.emulator.batches.batch import SUCCEEDED, Batch
from nightbatch.emulator.batches.lines import custom_id
from nightbatch.emulator.batches.store import Store

MOST_CONTENTS, MOST_PLACES = 100, 10

Chosen = Callable[[Batch], Iterable[bool]]


def accepted(batch: Batch) -> Iterable[bool]:
    """Choose every request of a batch."""
    return [True] * batch.count


def bought(batch: Batch) -> Iterable[bool]:
    """Choose the requests that were answered and therefore billed; to be asked of batches that have ended."""
    kinds = batch.answers.kinds if batch.answers else b""
    return [kind == SUCCEEDED for kind in kinds[: batch.timeline.answered(batch.count)]]


def count_contents(
    store: Store, batches: Iterable[Batch], chosen: Chosen
) -> dict[str, Any]:
    """Return how many requests were chosen, how many contents they have, and what came twice, with its places.

    A million requests take about half a second.
    """
    everywhere: set[int] = set()
    again: set[int] = set()
    total = in_batches = 0
    batches = [batch for batch in batches if batch.answers is not None]
    for batch in batches:
        contents = array("Q", compress(_contents(batch), chosen(batch)))
        here = set(contents)
        again |= here & everywhere
        if len(here) < len(contents):
            again |= _twice(contents)
        everywhere |= here
        total += len(contents)
        in_batches += len(here)
    return {
        "requests": total,
        "distinct": len(everywhere),
        "twice": total - len(everywhere),
        "twice_within_a_batch": total - in_batches,
        "twice_across_batches": in_batches - len(everywhere),
        "duplicates": list(
            _places(store, batches, chosen, sorted(again)[:MOST_CONTENTS])
        ),
    }


def _contents(batch: Batch) -> array[int]:
    return batch.answers.contents if batch.answers else array("Q")


def _twice(contents: Iterable[int]) -> set[int]:
    seen: set[int] = set()
    return {content for content in contents if content in seen or seen.add(content)}  # type: ignore[func-returns-value]


def _places(
    store: Store, batches: Iterable[Batch], chosen: Chosen, wanted: list[int]
) -> Iterator[dict[str, Any]]:
    found: dict[int, list[tuple[Batch, int]]] = {content: [] for content in wanted}
    for batch in batches if wanted else ():
        for rank, (content, counts) in enumerate(
            zip(_contents(batch), chosen(batch), strict=False)
        ):
            if counts and content in found:
                found[content].append((batch, rank))
    for content, places in found.items():
        shown = [
            {"batch_id": batch.id, "custom_id": _custom_id(store, batch, rank)}
            for batch, rank in places[:MOST_PLACES]
        ]
        yield {"content": f"{content:016x}", "times": len(places), "places": shown}


def _custom_id(store: Store, batch: Batch, rank: int) -> str:
    if batch.answers is None:
        return ""
    with store.lines(batch.id).open("rb") as lines:
        lines.seek(batch.answers.ends[rank - 1] if rank else 0)
        return custom_id(lines.readline()).decode()
