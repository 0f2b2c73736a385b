"""Estimate: find what a run's estimates rest on, from a few counted prompts and from what was paid before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core import caching, estimate, keys
from nightbatch.core.errors import ApiError
from nightbatch.core.estimate import Estimate, Estimator, History, Prompts
from nightbatch.core.run import Run
from nightbatch.steps import sheets
from nightbatch.steps.costs import Row
from nightbatch.steps.ledger import Ledger
from nightbatch.steps.prices import prices

Counts = Callable[[dict[str, Any]], int]
"""Counts the input tokens of one request's params; may raise ApiError."""

SAMPLE = 19
COUNTED = ("messages", "model", "output_config", "system", "thinking", "tool_choice", "tools")
"""What the token counter takes of a request's params."""


@dataclass(frozen=True)
class Quote:
    """What all that is left will cost, and what any part of it will."""

    whole: Estimate
    estimator: Estimator | None = None

    def of(self, requests: pa.Table) -> Estimate:
        """Estimate some of the requests."""
        if self.estimator is None:
            return Estimate()
        return self.estimator.estimate(np.asarray(requests.column("size")))


def quoted(run: Run, ledger: Ledger, left: pa.Table, rows: list[Row], counts: Counts | None) -> Quote:
    """Estimate what is left; nothing is looked up where nothing is."""
    if not left.num_rows:
        return Quote(Estimate())
    made = estimator(run, ledger, left, rows, counts)
    return Quote(made.estimate(np.asarray(left.column("size"))), made)


def estimator(run: Run, ledger: Ledger, left: pa.Table, rows: list[Row], counts: Counts | None) -> Estimator:
    """Gather what is known of the requests in `left`: their prompts, their answers, their cache."""
    known = estimate.history(row for row in rows if row["question"] == run.question)
    prompts = _prompts(run, ledger, left, known, counts)
    shared = caching.shared_tokens(run.frame, prompts.frame)
    if shared < prices().cache_minimum(run.model):
        shared = 0.0
    pays = caching.pays(prices(), run.model, shared, left.num_rows)
    return Estimator(
        prices=prices(),
        model=run.model,
        us=run.frame.params(b'""').get("inference_geo") == "us",
        prompts=prompts,
        answers=estimate.answers(known, run.max_tokens),
        cached=estimate.cached(known, shared, warm=bool(known.answers) or pays),
    )


def _prompts(run: Run, ledger: Ledger, left: pa.Table, known: History, counts: Counts | None) -> Prompts:
    if counts is not None:
        try:
            frame = counts(_countable(run.frame.params(b'"."')))
            contents = list(_sample(run, ledger, left))
            tokens = [counts(_countable(run.frame.params(content))) for content in contents]
            return estimate.counted(max(1, frame - 1), list(zip(map(len, contents), tokens, strict=True)))
        except ApiError:
            pass  # the estimate says what it was made of instead
    if known.answers and known.size:
        return estimate.by_history(known, run.frame.item_overhead)
    return estimate.by_length(len(run.identity))


def _sample(run: Run, ledger: Ledger, left: pa.Table) -> Iterator[bytes]:
    """Read some of the staged prompts that are asked, spread over the first of them."""
    part = left.column("part")[0].as_py()
    wanted = left.filter(pc.equal(left.column("part"), part)).column("id").combine_chunks()
    for batch in sheets.batches(ledger.store, keys.requests(run.snapshot, part), None, 8_192):
        kept = batch.filter(pc.is_in(batch.column("id"), value_set=wanted)).column("content")
        if len(kept):
            step = max(1, len(kept) // SAMPLE)
            yield from (kept[place].as_py() for place in range(0, len(kept), step)[:SAMPLE])
            return


def _countable(params: dict[str, Any]) -> dict[str, Any]:
    return {name: params[name] for name in COUNTED if name in params}
