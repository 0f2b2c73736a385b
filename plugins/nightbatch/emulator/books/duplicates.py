"""Contents of requests that were sent more than once: counts within batches and across them, and their places."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from itertools import compress
from typing import NamedTuple

from nightbatch.emulator.batches.batch import SUCCEEDED, Batch
from nightbatch.emulator.batches.lines import custom_id
from nightbatch.emulator.batches.store import Store
from nightbatch.emulator.wire import Json

MOST_CONTENTS = 100
MOST_PLACES = 10

Chosen = Callable[[Batch], Iterable[bool]]


class _Place(NamedTuple):
    """One request: the batch it is in, and its rank in the order of answers."""

    batch: Batch
    rank: int


def accepted(batch: Batch) -> Iterable[bool]:
    """Choose every request of a batch."""
    return [True] * batch.count


def bought(batch: Batch) -> Iterable[bool]:
    """Choose the requests that were answered and therefore billed; only for batches that have ended."""
    kinds = batch.answers.kinds if batch.answers else b""
    answered_count = batch.timeline.answered(batch.count)
    return [kind == SUCCEEDED for kind in kinds[:answered_count]]


def count_contents(store: Store, batches: Iterable[Batch], chosen: Chosen) -> Json:
    """Return how many requests were chosen, how many contents they have, and which came twice, with their places.

    A million requests take about half a second.
    """
    all_contents: set[int] = set()
    repeated_contents: set[int] = set()
    request_count = 0
    distinct_by_batch = 0
    answered_batches = [batch for batch in batches if batch.answers is not None]
    for batch in answered_batches:
        contents = array("Q", compress(_contents(batch), chosen(batch)))
        batch_contents = set(contents)
        repeated_contents |= batch_contents & all_contents
        if len(batch_contents) < len(contents):
            repeated_contents |= _twice(contents)
        all_contents |= batch_contents
        request_count += len(contents)
        distinct_by_batch += len(batch_contents)
    listed_contents = sorted(repeated_contents)[:MOST_CONTENTS]
    return {
        "requests": request_count,
        "distinct": len(all_contents),
        "twice": request_count - len(all_contents),
        "twice_within_a_batch": request_count - distinct_by_batch,
        "twice_across_batches": distinct_by_batch - len(all_contents),
        "duplicates": _duplicates(store, answered_batches, chosen, listed_contents),
    }


def _contents(batch: Batch) -> array[int]:
    return batch.answers.contents if batch.answers else array("Q")


def _twice(contents: Iterable[int]) -> set[int]:
    seen_contents: set[int] = set()
    repeated_contents: set[int] = set()
    for content in contents:
        if content in seen_contents:
            repeated_contents.add(content)
        else:
            seen_contents.add(content)
    return repeated_contents


def _duplicates(
    store: Store, batches: Iterable[Batch], chosen: Chosen, contents: list[int]
) -> list[Json]:
    """Return every content with how often it came, and up to `MOST_PLACES` of its requests."""
    if not contents:
        return []
    places_by_content: dict[int, list[_Place]] = {content: [] for content in contents}
    for batch in batches:
        chosen_contents = zip(_contents(batch), chosen(batch), strict=False)
        for rank, (content, is_chosen) in enumerate(chosen_contents):
            if is_chosen and content in places_by_content:
                place = _Place(batch, rank)
                places_by_content[content].append(place)
    return [
        _duplicate(store, content, places)
        for content, places in places_by_content.items()
    ]


def _duplicate(store: Store, content: int, places: list[_Place]) -> Json:
    shown_places = []
    for batch, rank in places[:MOST_PLACES]:
        request_id = _custom_id(store, batch, rank)
        shown_places.append({"batch_id": batch.id, "custom_id": request_id})
    return {
        "content": f"{content:016x}",
        "times": len(places),
        "places": shown_places,
    }


def _custom_id(store: Store, batch: Batch, rank: int) -> str:
    if batch.answers is None:
        return ""
    line_start = batch.answers.ends[rank - 1] if rank else 0
    line_file = store.lines(batch.id)
    with line_file.open("rb") as lines:
        lines.seek(line_start)
        line = lines.readline()
    return custom_id(line).decode()
