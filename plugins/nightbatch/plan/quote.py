"""Estimate: find what a run's estimates rest on, from a few counted prompts and from what was paid before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from nightbatch.errors import ApiError
from nightbatch.money import cache, estimate, prompt_tokens
from nightbatch.money.cost_table import Row
from nightbatch.money.estimate import Estimate, Estimator, History
from nightbatch.money.prices import prices
from nightbatch.money.prompt_tokens import Prompts, Sample
from nightbatch.prepare.staged import Requests
from nightbatch.spec.billed_params import billed
from nightbatch.spec.run import Run

Counts = Callable[[dict[str, Any]], int]
"""Counts the input tokens of one request's params; may raise ApiError."""

SAMPLE, PLACES, NEAR = 19, 4, 2_048
"""How many requests are counted, at how many places, and how near each other those of one place are."""
COUNTED = (
    "messages",
    "model",
    "output_config",
    "system",
    "thinking",
    "tool_choice",
    "tools",
)
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
        return self.estimator.estimate(requests.token_sizes)


def quoted(run: Run, left: Requests, rows: list[Row], counts: Counts | None) -> Quote:
    """Estimate what is left; nothing is looked up where nothing is."""
    if not len(left):
        return Quote(Estimate())
    made = estimator(run, left, rows, counts)
    return Quote(made.estimate(left.token_sizes), made)


def estimator(
    run: Run, left: Requests, rows: list[Row], counts: Counts | None
) -> Estimator:
    """Gather what is known of the requests in `left`: their prompts, their answers, their cache."""
    known = estimate.history(row for row in rows if row["question"] == run.question)
    prompts = _prompts(run, left, known, counts)
    shared = cache.shared_tokens(run.frame, prompts.frame)
    if shared < prices().cache_minimum(run.model):
        shared = 0.0
    pays = cache.pays(prices(), run.model, shared, len(left))
    params = run.frame.params(b'""')
    return Estimator(
        prices=prices(),
        model=run.model,
        us=params.get("inference_geo") == "us",
        billed_by_use=sorted(billed(params)),
        prompts=prompts,
        answers=estimate.answers(known, run.max_tokens),
        cached=estimate.cached(known, shared, warm=bool(known.answers) or pays),
    )


def _prompts(
    run: Run, left: Requests, known: History, counts: Counts | None
) -> Prompts:
    context = prices().context_tokens(run.model)
    if counts is not None:
        try:
            frame = counts(_countable(run.frame.params(b'"."')))
            samples = _counted(run, _sample(left), counts)
        except ApiError:
            pass  # the estimate says what it was made of instead
        else:
            complete = len(samples) == len(left)
            return prompt_tokens.counted(
                max(1, frame - 1), samples, context, complete=complete
            )
    if not known.answers or not known.size:
        return prompt_tokens.by_length(len(run.identity))
    how = f"history of {known.answers:,} prompts"
    if not left.staged.has_media:
        return prompt_tokens.by_history(
            known.input / known.size, run.frame.item_overhead, how
        )
    mean = known.input / known.answers
    return prompt_tokens.by_history_of_media(
        mean, len(run.identity), left.token_sizes, context, how
    )


def _sample(left: Requests) -> Requests:
    """Choose requests from a few places spread over all of them: each place is a read of its neighbors."""
    if len(left) <= SAMPLE:
        return left
    edges = np.linspace(0, len(left), PLACES + 1).astype(np.int64)
    chosen: list[np.ndarray] = []
    for start, stop in pairwise(edges.tolist()):
        wanted = -(-SAMPLE * (len(chosen) + 1) // PLACES) - sum(map(len, chosen))
        chosen.append(
            np.linspace(start, min(stop, start + NEAR) - 1, wanted).astype(np.int64)
        )
    return left[np.unique(np.concatenate(chosen))]


def _counted(run: Run, chosen: Requests, counts: Counts) -> list[Sample]:
    """Count the tokens of requests. Raises ApiError."""
    text, media = chosen.token_sizes
    samples: list[Sample] = []
    for place, content in enumerate(chosen.staged.contents(chosen.numbers)):
        tokens = counts(_countable(run.frame.params(content)))
        samples.append(
            Sample(int(text[place]), 0 if media is None else int(media[place]), tokens)
        )
    return samples


def _countable(params: dict[str, Any]) -> dict[str, Any]:
    return {name: params[name] for name in COUNTED if name in params}
