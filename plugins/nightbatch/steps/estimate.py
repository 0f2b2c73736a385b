"""Estimate: find what a run's estimates rest on, from a few counted prompts and from what was paid before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nightbatch.core import caching, estimate
from nightbatch.core.errors import ApiError
from nightbatch.core.estimate import Estimate, Estimator, History, Prompts
from nightbatch.core.run import Run
from nightbatch.steps.asked import Requests
from nightbatch.steps.costs import Row
from nightbatch.steps.prices import prices

Counts = Callable[[dict[str, Any]], int]
"""Counts the input tokens of one request's params; may raise ApiError."""

SAMPLE, SPREAD = 19, 8_192
COUNTED = ("messages", "model", "output_config", "system", "thinking", "tool_choice", "tools")
"""What the token counter takes of a request's params."""


@dataclass(frozen=True)
class Quote:
    """What all that is left will cost, and what any part of it will."""

    whole: Estimate
    estimator: Estimator | None = None

    def of(self, requests: Requests) -> Estimate:
        """Estimate some of the requests."""
        if self.estimator is None:
            return Estimate()
        return self.estimator.estimate(requests.sizes)


def quoted(run: Run, left: Requests, rows: list[Row], counts: Counts | None) -> Quote:
    """Estimate what is left; nothing is looked up where nothing is."""
    if not len(left):
        return Quote(Estimate())
    made = estimator(run, left, rows, counts)
    return Quote(made.estimate(left.sizes), made)


def estimator(run: Run, left: Requests, rows: list[Row], counts: Counts | None) -> Estimator:
    """Gather what is known of the requests in `left`: their prompts, their answers, their cache."""
    known = estimate.history(row for row in rows if row["question"] == run.question)
    prompts = _prompts(run, left, known, counts)
    shared = caching.shared_tokens(run.frame, prompts.frame)
    if shared < prices().cache_minimum(run.model):
        shared = 0.0
    pays = caching.pays(prices(), run.model, shared, len(left))
    return Estimator(
        prices=prices(),
        model=run.model,
        us=run.frame.params(b'""').get("inference_geo") == "us",
        prompts=prompts,
        answers=estimate.answers(known, run.max_tokens),
        cached=estimate.cached(known, shared, warm=bool(known.answers) or pays),
    )


def _prompts(run: Run, left: Requests, known: History, counts: Counts | None) -> Prompts:
    if counts is not None:
        try:
            frame = counts(_countable(run.frame.params(b'"."')))
            contents = _sample(left)
            tokens = [counts(_countable(run.frame.params(content))) for content in contents]
            return estimate.counted(max(1, frame - 1), list(zip(map(len, contents), tokens, strict=True)))
        except ApiError:
            pass  # the estimate says what it was made of instead
    if known.answers and known.size:
        return estimate.by_history(known, run.frame.item_overhead)
    return estimate.by_length(len(run.identity))


def _sample(left: Requests) -> list[bytes]:
    """Read some of the staged prompts that are asked, spread over the first of them."""
    staged, first = left.staged, int(left.numbers[0])
    stop = min(first + SPREAD, int(staged.starts[staged.part(first) + 1]))
    near = left.numbers[: int(np.searchsorted(left.numbers, stop))]
    chosen = near[:: max(1, len(near) // SAMPLE)][:SAMPLE]
    return staged.contents(chosen)


def _countable(params: dict[str, Any]) -> dict[str, Any]:
    return {name: params[name] for name in COUNTED if name in params}
