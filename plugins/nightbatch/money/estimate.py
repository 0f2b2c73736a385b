"""What a purchase will cost, before it is made: expected and at most, and how that was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from nightbatch.money.prices import PICO, Prices, Rates
from nightbatch.money.prompt_tokens import Prompts, Sizes

TRUSTED = 30
"""From so many answers on, none is taken to be longer than the longest of them."""
HITS_WARM, HITS_COLD = 0.9, 0.5
"""Share of requests that read the cache where an answer has begun before, and in a cold batch, until history tells."""
STRETCH = 1_000_000
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
    def told(self) -> str:
        """The estimate in words."""
        return (
            f"{usd(self.expected)} expected, {usd(self.at_most)} at most ({self.how})"
        )


def usd(amount: Decimal | None) -> str:
    """Write an amount for a person."""
    return "unknown" if amount is None else f"{amount:,.4f} USD"


@dataclass(frozen=True)
class History:
    """What requests of the same frame have used so far."""

    answers: int = 0
    output: int = 0
    longest: int = 0
    input: int = 0
    read: int = 0
    written: int = 0
    size: int = 0
    canary: bool = False
    """read, written: by what was not sent ahead to fill the cache. size: bytes of those requests. canary: nothing but
    what was sent ahead has been answered."""

    @property
    def hits(self) -> float | None:
        """The share of cached tokens that were read instead of written."""
        return (
            self.read / (self.read + self.written) if self.read + self.written else None
        )


@dataclass(frozen=True)
class Answers:
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
    """So many prompts, and how many input tokens they have together."""

    count: int = 0
    tokens: float = 0.0

    def plus(self, tokens: np.ndarray) -> Lengths:
        """Add prompts of these lengths."""
        return Lengths(self.count + len(tokens), self.tokens + float(tokens.sum()))


@dataclass(frozen=True)
class Estimator:
    """Everything that an estimate rests on, found once; requests are then estimated by their sizes."""

    prices: Prices
    model: str
    us: bool
    prompts: Prompts
    answers: Answers
    cached: Cached
    billed_by_use: Sequence[str] = ()
    """Params and tools that cost more than tokens: nobody can say beforehand how much."""

    def estimate(self, sizes: Sizes) -> Estimate:
        """Price requests of these sizes. Long prompts are priced as such, one by one."""
        count = len(sizes.text)
        if not count:
            return Estimate()
        how = (
            f"input: {self.prompts.how}; output: {self.answers.how}; {self.cached.how}"
        )
        context = self.prices.context_tokens(self.model)
        short, long = self._lengths(
            sizes, lambda part: self.prompts.expected(part, context)
        )
        expected = self._price((short, long), self.answers.mean, self.cached.hits)
        most = self._lengths(sizes, lambda part: self.prompts.most(part, context))
        at_most = self._price(most, self.answers.most, 0.0)
        if self.billed_by_use:
            expected = at_most = None
            how = f"{how}; {', '.join(self.billed_by_use)}: billed by use, unknown beforehand"
        output = round(count * self.answers.mean)
        return Estimate(
            count, round(short.tokens + long.tokens), output, expected, at_most, how
        )

    def _lengths(
        self, sizes: Sizes, tokens_of: Callable[[Sizes], np.ndarray]
    ) -> tuple[Lengths, Lengths]:
        """Sum the tokens of short and of long prompts, a stretch at a time."""
        limit = self.prices.long_above(self.model)
        short, long = Lengths(), Lengths()
        for start in range(0, len(sizes.text), STRETCH):
            tokens = tokens_of(sizes.part(start, start + STRETCH))
            is_long = tokens > (np.inf if limit is None else limit)
            short, long = short.plus(tokens[~is_long]), long.plus(tokens[is_long])
        return short, long

    def _price(
        self, lengths: tuple[Lengths, Lengths], output: float, hits: float
    ) -> Decimal | None:
        total = Decimal(0)
        for some, prompt in zip(
            lengths, (0, (self.prices.long_above(self.model) or 0) + 1), strict=True
        ):
            rates = self.prices.rates(self.model, prompt=prompt, us=self.us)
            if rates is None:
                return None
            total += self._sum(rates, some, output, hits)
        return total.quantize(PICO)

    def _sum(self, rates: Rates, some: Lengths, output: float, hits: float) -> Decimal:
        count = some.count
        shared = min(self.cached.tokens * count, some.tokens)
        read = round(shared * hits)
        written, fresh = round(shared) - read, round(some.tokens) - round(shared)
        prompt = (
            fresh * rates.input
            + read * rates.cache_read
            + written * rates.cache_write_1h
        )
        return prompt + round(count * output) * rates.output


def history(rows: Iterable[Mapping[str, Any]]) -> History:
    """Add up rows of the cost table."""
    total, attempts = History(), set()
    for row in rows:
        written = row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"]
        total = History(
            answers=total.answers + row["billed"],
            output=total.output + row["output_tokens"],
            longest=max(total.longest, row["longest_output_tokens"]),
            input=total.input
            + row["input_tokens"]
            + row["cache_read_tokens"]
            + written,
            read=total.read + (row["cache_read_tokens"] if row["attempt"] else 0),
            written=total.written + (written if row["attempt"] else 0),
            size=total.size + (row["bytes"] * row["billed"] // max(1, row["requests"])),
        )
        attempts.add(row["attempt"])
    return replace(total, canary=attempts == {0})


def answers(known: History, max_tokens: int) -> Answers:
    """Find the length of answers: from history, else their upper bound."""
    if not known.answers:
        return Answers(
            max_tokens, max_tokens, f"max_tokens {max_tokens:,}, for want of history"
        )
    what = "the canary's" if known.canary else "history of"
    most = min(known.longest, max_tokens) if known.answers >= TRUSTED else max_tokens
    bound = (
        f"none longer than {most:,}"
        if known.answers >= TRUSTED
        else f"at most max_tokens {max_tokens:,}"
    )
    return Answers(
        min(known.output / known.answers, most),
        most,
        f"{what} {known.answers:,} answers, {bound}",
    )


def cached(known: History, tokens: float, *, warm: bool) -> Cached:
    """Say what the cache will do for this many shared tokens; as before, if there is a before."""
    if not tokens:
        return Cached()
    hits = known.hits if known.hits is not None else HITS_WARM if warm else HITS_COLD
    why = "as before" if known.hits is not None else "assumed"
    return Cached(
        tokens,
        hits,
        f"cache: {tokens:,.0f} shared tokens, {hits:.0%} of them read ({why})",
    )
