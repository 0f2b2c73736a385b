"""What a purchase will cost, before it is made: expected and at most, and how that was estimated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from nightbatch.amounts import usd
from nightbatch.money.prices import PICO, Prices, Rates
from nightbatch.money.prompt_tokens import Prompts, Sizes

ENOUGH_ANSWERS = 30
"""With at least this many answers, none is assumed to be longer than the longest of them."""
HITS_WARM = 0.9
"""Assumed share of requests that read the cache, without history, where the cache was filled before the batch."""
HITS_COLD = 0.5
"""Assumed share of requests that read the cache, without history, where it was not."""
REQUESTS_AT_A_TIME = 1_000_000
"""Requests that are estimated at a time."""


@dataclass(frozen=True)
class Estimate:
    """US dollars and tokens for a number of requests; None where the model's price is not known."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    expected: Decimal | None = Decimal(0)
    at_most: Decimal | None = Decimal(0)
    how: str = "nothing to buy"

    @property
    def summary(self) -> str:
        """The estimate in words."""
        expected_usd = usd(self.expected)
        at_most_usd = usd(self.at_most)
        return f"{expected_usd} expected, {at_most_usd} at most ({self.how})"


@dataclass(frozen=True)
class PastUsage:
    """What requests of the same frame have used so far."""

    answers: int = 0
    output: int = 0
    longest: int = 0
    input: int = 0
    read: int = 0
    written: int = 0
    size: int = 0
    canary: bool = False
    """read, written: by requests that were not sent ahead to fill the cache. size: bytes of the answered requests.
    canary: only requests that were sent ahead have been answered."""

    @property
    def hits(self) -> float | None:
        """The share of cached tokens that were read instead of written."""
        cached = self.read + self.written
        return self.read / cached if cached else None

    def plus(self, other: PastUsage) -> PastUsage:
        """Add what other requests have used."""
        return PastUsage(
            answers=self.answers + other.answers,
            output=self.output + other.output,
            longest=max(self.longest, other.longest),
            input=self.input + other.input,
            read=self.read + other.read,
            written=self.written + other.written,
            size=self.size + other.size,
        )


@dataclass(frozen=True)
class AnswerLength:
    """How many output tokens a request has: on average, and at most."""

    mean: float
    most: int
    how: str


@dataclass(frozen=True)
class Cached:
    """How many tokens of the frame are cached, and the share of requests that will read them."""

    tokens: float = 0.0
    hits: float = 0.0
    how: str = "no cache"


@dataclass(frozen=True)
class Lengths:
    """N prompts, and how many input tokens they have together."""

    count: int = 0
    tokens: float = 0.0

    def plus(self, tokens: np.ndarray) -> Lengths:
        """Add prompts of these lengths."""
        new_tokens = float(tokens.sum())
        return Lengths(self.count + len(tokens), self.tokens + new_tokens)


class ShortAndLong(NamedTuple):
    """The short prompts, and those that are so long that the model's prices rise."""

    short: Lengths
    long: Lengths

    @property
    def tokens(self) -> float:
        """The input tokens of all of them."""
        return self.short.tokens + self.long.tokens


CountTokens = Callable[[Sizes, int], np.ndarray]
"""Returns the tokens of prompts of these sizes, none above the context window (the second argument)."""


@dataclass(frozen=True)
class Estimator:
    """The inputs of an estimate, gathered once; requests are then estimated by their sizes."""

    prices: Prices
    model: str
    us: bool
    prompts: Prompts
    answers: AnswerLength
    cached: Cached
    billed_by_use: Sequence[str] = ()
    """Params and tools that cost more than tokens: how much is not known beforehand."""

    def estimate(self, sizes: Sizes) -> Estimate:
        """Price requests of these sizes. Long prompts are priced as such, one by one."""
        request_count = len(sizes.text)
        if not request_count:
            return Estimate()
        lengths = self._lengths(sizes, self.prompts.expected)
        expected = self._price(lengths, self.answers.mean, self.cached.hits)
        longest_prompts = self._lengths(sizes, self.prompts.most)
        at_most = self._price(longest_prompts, self.answers.most, 0.0)
        if self.billed_by_use:
            expected = None
            at_most = None
        output_tokens = request_count * self.answers.mean
        return Estimate(
            requests=request_count,
            input_tokens=round(lengths.tokens),
            output_tokens=round(output_tokens),
            expected=expected,
            at_most=at_most,
            how=self._how(),
        )

    def _how(self) -> str:
        """Say how the estimate was made, and what it does not include."""
        how = (
            f"input: {self.prompts.how}; output: {self.answers.how}; {self.cached.how}"
        )
        if not self.billed_by_use:
            return how
        names = ", ".join(self.billed_by_use)
        return f"{how}; {names}: billed by use, unknown beforehand"

    def _lengths(self, sizes: Sizes, count_tokens: CountTokens) -> ShortAndLong:
        """Sum the tokens of short and of long prompts, REQUESTS_AT_A_TIME requests at a time."""
        context_tokens = self.prices.context_tokens(self.model)
        long_above = self.prices.long_above(self.model)
        limit = np.inf if long_above is None else long_above
        short = Lengths()
        long = Lengths()
        for start in range(0, len(sizes.text), REQUESTS_AT_A_TIME):
            stretch_sizes = sizes.part(start, start + REQUESTS_AT_A_TIME)
            tokens = count_tokens(stretch_sizes, context_tokens)
            is_long = tokens > limit
            short = short.plus(tokens[~is_long])
            long = long.plus(tokens[is_long])
        return ShortAndLong(short, long)

    def _price(
        self, lengths: ShortAndLong, output_tokens: float, hits: float
    ) -> Decimal | None:
        """Price short and long prompts with answers of a length and a share of cache reads."""
        long_above = self.prices.long_above(self.model) or 0
        long_prompt = long_above + 1
        short_rates = self.prices.rates(self.model, us=self.us)
        long_rates = self.prices.rates(self.model, prompt=long_prompt, us=self.us)
        if short_rates is None or long_rates is None:
            return None
        short_usd = self._sum(short_rates, lengths.short, output_tokens, hits)
        long_usd = self._sum(long_rates, lengths.long, output_tokens, hits)
        return (short_usd + long_usd).quantize(PICO)

    def _sum(
        self, rates: Rates, lengths: Lengths, output_tokens: float, hits: float
    ) -> Decimal:
        shared_tokens = min(self.cached.tokens * lengths.count, lengths.tokens)
        read_tokens = round(shared_tokens * hits)
        written_tokens = round(shared_tokens) - read_tokens
        uncached_tokens = round(lengths.tokens) - round(shared_tokens)
        total_output = round(lengths.count * output_tokens)
        uncached_usd = uncached_tokens * rates.input
        read_usd = read_tokens * rates.cache_read
        written_usd = written_tokens * rates.cache_write_1h
        output_usd = total_output * rates.output
        return uncached_usd + read_usd + written_usd + output_usd


def past_usage(rows: Iterable[Mapping[str, Any]]) -> PastUsage:
    """Add up rows of the cost table."""
    total = PastUsage()
    attempts: set[int] = set()
    for row in rows:
        row_usage = _usage(row)
        total = total.plus(row_usage)
        attempts.add(row["attempt"])
    only_canary = attempts == {0}
    return replace(total, canary=only_canary)


def _usage(row: Mapping[str, Any]) -> PastUsage:
    """Read what the requests of a row of the cost table have used."""
    read = row["cache_read_tokens"]
    written = row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"]
    request_count = max(1, row["requests"])
    usage = PastUsage(
        answers=row["billed"],
        output=row["output_tokens"],
        longest=row["longest_output_tokens"],
        input=row["input_tokens"] + read + written,
        read=read,
        written=written,
        size=row["bytes"] * row["billed"] // request_count,
    )
    was_sent_ahead = not row["attempt"]
    if was_sent_ahead:
        return replace(usage, read=0, written=0)
    return usage


def answer_length(past: PastUsage, max_tokens: int) -> AnswerLength:
    """Estimate the length of answers: from history, else their upper bound."""
    if not past.answers:
        how = f"max_tokens {max_tokens:,}, no history yet"
        return AnswerLength(max_tokens, max_tokens, how)
    if past.answers >= ENOUGH_ANSWERS:
        longest = min(past.longest, max_tokens)
        bound = f"none longer than {longest:,}"
    else:
        longest = max_tokens
        bound = f"at most max_tokens {max_tokens:,}"
    mean = min(past.output / past.answers, longest)
    source = "the canary's" if past.canary else "history of"
    how = f"{source} {past.answers:,} answers, {bound}"
    return AnswerLength(mean, longest, how)


def cached_prefix(past: PastUsage, tokens: float, *, warm: bool) -> Cached:
    """Estimate the share of cache reads for this many shared tokens: as in the past, or assumed."""
    if not tokens:
        return Cached()
    if past.hits is not None:
        hits = past.hits
        source = "as before"
    else:
        hits = HITS_WARM if warm else HITS_COLD
        source = "assumed"
    how = f"cache: {tokens:,.0f} shared tokens, {hits:.0%} of them read ({source})"
    return Cached(tokens, hits, how)
