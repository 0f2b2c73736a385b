"""What requests cost and would have cost, summed by what determines the price: exact, however many there are.

Prices are linear in tokens within one model, tier, region and prompt length, so sums of tokens by those are enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import add

import numpy as np

from nightbatch.money.prices import PICO, Prices, Rates, Terms


@dataclass(frozen=True)
class Costs:
    """US dollars: what was paid, what it would have been at the standard price, and without the cache."""

    paid: Decimal
    standard: Decimal
    uncached: Decimal


@dataclass
class BilledUsage:
    """Adds up what requests have used."""

    prices: Prices
    sums: dict[Terms, tuple[int, ...]] = field(default_factory=dict)
    tools: dict[str, int] = field(default_factory=dict)
    has_unknown: bool = False
    answers: int = 0
    full_price: int = 0
    longest: int = 0
    """tools: uses of server tools, by name. has_unknown: some price cannot be known.
    answers: requests that are billed. full_price: those not at batch price.
    longest: most tokens of one answer."""

    def add_all(self, terms: Terms, counts: np.ndarray) -> None:
        """Add requests of the same terms: their tokens by class, a row each."""
        new_sums = counts.sum(axis=0).tolist()
        if terms in self.sums:
            new_sums = map(add, self.sums[terms], new_sums)
        self.sums[terms] = tuple(new_sums)
        request_count = len(counts)
        self.answers += request_count
        if not terms.is_batch:
            self.full_price += request_count
        output_counts = counts[:, -1]
        longest_output = int(output_counts.max())
        self.longest = max(self.longest, longest_output)

    def add_tool(self, name: str, uses: int) -> None:
        """Add uses of a server tool."""
        self.tools[name] = self.tools.get(name, 0) + uses

    def costs(self) -> Costs | None:
        """Price the sums; None if the price of a model or tool is not known. A tool costs the same in a batch."""
        tools_usd = price_tools(self.prices, self.tools)
        if tools_usd is None or self.has_unknown:
            return None
        paid = tools_usd
        standard = tools_usd
        uncached = tools_usd
        for terms, counts in self.sums.items():
            rates = rates_of(self.prices, terms)
            standard_rates = rates_of(self.prices, terms.outside_batch)
            if rates is None or standard_rates is None:
                return None
            paid += price_of(rates, counts)
            standard += price_of(standard_rates, counts)
            uncached += _sum_uncached(rates, counts)
        return Costs(
            paid=paid.quantize(PICO),
            standard=standard.quantize(PICO),
            uncached=uncached.quantize(PICO),
        )


def rates_of(prices: Prices, terms: Terms) -> Rates | None:
    """Look up what a token of each class costs; None if the price of the model is not known."""
    model = terms.model
    prompt_tokens = 0
    if terms.is_long:
        long_above = prices.long_above(model) or 0
        prompt_tokens = long_above + 1
    return prices.rates(
        model, prompt=prompt_tokens, batch=terms.is_batch, us=terms.is_us
    )


def price_tools(prices: Prices, uses: Mapping[str, int]) -> Decimal | None:
    """Price uses of server tools; None if the price of one is not known."""
    total_usd = Decimal(0)
    for name, count in uses.items():
        if not count:
            continue
        price = prices.tool_price(name)
        if price is None:
            return None
        total_usd += count * price
    return total_usd


def price_sums(prices: Prices, model: str, tokens: Mapping[str, int]) -> Decimal | None:
    """Price sums of tokens of one model at its batch price for short prompts."""
    rates = prices.rates(model)
    if rates is None:
        return None
    token_counts = [tokens.get(token_class, 0) for token_class in Rates._fields]
    total_usd = price_of(rates, token_counts)
    return total_usd.quantize(PICO)


def price_of(rates: Rates, counts: Sequence[int]) -> Decimal:
    """Price the tokens of each class, in the order of `Rates`."""
    amounts = (rate * count for rate, count in zip(rates, counts, strict=True))
    return sum(amounts, Decimal(0))


def _sum_uncached(rates: Rates, counts: Sequence[int]) -> Decimal:
    """Price tokens as if there were no cache: all of the prompt at the price of input."""
    *prompt_counts, output_count = counts
    return sum(prompt_counts) * rates.input + output_count * rates.output
