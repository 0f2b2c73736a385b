"""Quote: gather the inputs of a run's estimates, from a few counted prompts and from what was paid before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from nightbatch.errors import ApiError
from nightbatch.money import cache, estimate, prompt_tokens
from nightbatch.money.cost_table import Row
from nightbatch.money.estimate import Estimate, Estimator, PastUsage
from nightbatch.money.prices import prices
from nightbatch.money.prompt_tokens import Prompts, Sample
from nightbatch.prepare.staged import RequestSet
from nightbatch.spec.billed_params import billed
from nightbatch.spec.run import Run

TokenCounter = Callable[[dict[str, Any]], int]
"""TokenCounter the input tokens of one request's params; may raise ApiError."""

SAMPLE = 19
"""How many requests are counted."""
PLACES = 4
"""At how many places these are chosen."""
NEAR = 2_048
"""Within how many requests those of one place are chosen."""
COUNTED = (
    "messages",
    "model",
    "output_config",
    "system",
    "thinking",
    "tool_choice",
    "tools",
)
"""The params of a request that the token counter accepts."""


@dataclass(frozen=True)
class Quote:
    """What all that is pending will cost, and what any part of it will cost."""

    whole: Estimate
    estimator: Estimator | None = None

    def estimate(self, requests: RequestSet) -> Estimate:
        """Estimate some of the requests."""
        if self.estimator is None:
            return Estimate()
        return self.estimator.estimate(requests.token_sizes)

    @property
    def cached_tokens(self) -> float:
        """The tokens that all requests share in the cache."""
        return self.estimator.cached.tokens if self.estimator else 0.0


def quote_for(
    run: Run, pending: RequestSet, rows: list[Row], count_tokens: TokenCounter | None
) -> Quote:
    """Estimate what is pending; nothing is looked up if nothing is pending."""
    if not len(pending):
        return Quote(Estimate())
    run_estimator = estimator(run, pending, rows, count_tokens)
    token_sizes = pending.token_sizes
    whole = run_estimator.estimate(token_sizes)
    return Quote(whole, run_estimator)


def estimator(
    run: Run, pending: RequestSet, rows: list[Row], count_tokens: TokenCounter | None
) -> Estimator:
    """Gather the inputs of estimates for the requests in `pending`: their prompts, their answers, their cache."""
    question_rows = [row for row in rows if row["question"] == run.question]
    past = estimate.past_usage(question_rows)
    prompts = _prompts(run, pending, past, count_tokens)
    shared_tokens = cache.shared_tokens(run.frame, prompts.frame)
    if shared_tokens < prices().cache_minimum(run.model):
        shared_tokens = 0.0
    is_primed = cache.priming_pays(prices(), run.model, shared_tokens, len(pending))
    is_warm = bool(past.answers) or is_primed
    params = run.frame.params(b'""')
    return Estimator(
        prices=prices(),
        model=run.model,
        us=params.get("inference_geo") == "us",
        billed_by_use=sorted(billed(params)),
        prompts=prompts,
        answers=estimate.answer_length(past, run.max_tokens),
        cached=estimate.cached_prefix(past, shared_tokens, warm=is_warm),
    )


def _prompts(
    run: Run, pending: RequestSet, past: PastUsage, count_tokens: TokenCounter | None
) -> Prompts:
    """Estimate the length of prompts: from a counted sample, else from history, else from their bytes."""
    if count_tokens is not None:
        try:
            return _counted_prompts(run, pending, count_tokens)
        except ApiError:
            pass  # `how` in the estimate then says what was used instead
    if not past.answers or not past.size:
        return prompt_tokens.by_length(len(run.identity))
    how = f"history of {past.answers:,} prompts"
    if not pending.staged.has_media:
        tokens_per_byte = past.input / past.size
        frame_bytes = run.frame.item_overhead
        return prompt_tokens.by_history(tokens_per_byte, frame_bytes, how)
    return prompt_tokens.by_history_of_media(
        mean=past.input / past.answers,
        frame_bytes=len(run.identity),
        sizes=pending.token_sizes,
        context=prices().context_tokens(run.model),
        how=how,
    )


def _counted_prompts(
    run: Run, pending: RequestSet, count_tokens: TokenCounter
) -> Prompts:
    """Estimate the length of prompts from a counted sample. Raises ApiError."""
    context_tokens = prices().context_tokens(run.model)
    one_token_params = run.frame.params(b'"."')
    one_token_prompt = _countable(one_token_params)
    one_token_count = count_tokens(one_token_prompt)
    frame_tokens = max(1, one_token_count - 1)
    chosen_requests = _sample(pending)
    samples = _counted(run, chosen_requests, count_tokens)
    is_complete = len(samples) == len(pending)
    return prompt_tokens.counted(
        frame_tokens, samples, context_tokens, complete=is_complete
    )


def _sample(pending: RequestSet) -> RequestSet:
    """Choose requests from a few places spread over all of them, so that each place takes one read."""
    if len(pending) <= SAMPLE:
        return pending
    edges = _spread(0, len(pending), PLACES + 1).tolist()
    chosen_places: list[np.ndarray] = []
    chosen_count = 0
    for number, (start, stop) in enumerate(pairwise(edges), 1):
        due_count = -(-SAMPLE * number // PLACES)
        wanted_count = due_count - chosen_count
        last_place = min(stop, start + NEAR) - 1
        near_places = _spread(start, last_place, wanted_count)
        chosen_places.append(near_places)
        chosen_count = due_count
    all_places = np.concatenate(chosen_places)
    return pending[np.unique(all_places)]


def _spread(first: int, last: int, count: int) -> np.ndarray:
    """Return whole numbers from `first` to `last`, evenly spread."""
    return np.linspace(first, last, count).astype(np.int64)


def _counted(run: Run, sample: RequestSet, count_tokens: TokenCounter) -> list[Sample]:
    """Count the tokens of requests. Raises ApiError."""
    text_sizes, media_bounds = sample.token_sizes
    contents = sample.staged.contents(sample.numbers)
    samples = list[Sample]()
    for place, content in enumerate(contents):
        params = run.frame.params(content)
        prompt = _countable(params)
        token_count = count_tokens(prompt)
        text_bytes = int(text_sizes[place])
        media_bound = 0
        if media_bounds is not None:
            media_bound = int(media_bounds[place])
        counted_sample = Sample(text_bytes, media_bound, token_count)
        samples.append(counted_sample)
    return samples


def _countable(params: dict[str, Any]) -> dict[str, Any]:
    return {name: params[name] for name in COUNTED if name in params}
