"""What requests cost and would have cost, summed by what decides the price: exact, however many there are.

Prices are linear in tokens within one model, tier, region and prompt length, so sums of tokens over those suffice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from operator import add

import numpy as np

from nightbatch.core.price import PICO, Prices, Rates

Terms = tuple[str, bool, bool, bool]
"""What decides a price: the model, a long prompt, the batch tier, inference in the US."""


@dataclass(frozen=True)
class Costs:
    """US dollars: what was paid, what it would have been at the standard price, and without the cache."""

    paid: Decimal
    standard: Decimal
    uncached: Decimal


@dataclass
class Bill:
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
        """Take in requests of the same terms: their tokens by class, a row each."""
        known = self.sums.get(terms, (0,) * counts.shape[1])
        self.sums[terms] = tuple(map(add, known, counts.sum(axis=0).tolist()))
        self.answers += len(counts)
        self.full_price += 0 if terms[2] else len(counts)
        self.longest = max(self.longest, int(counts[:, -1].max()))

    def add_tool(self, name: str, uses: int) -> None:
        """Take in uses of a server tool."""
        self.tools[name] = self.tools.get(name, 0) + uses

    def costs(self) -> Costs | None:
        """Price the sums; None if the price of a model or tool is not known. A tool costs the same in a batch."""
        tools = price_tools(self.prices, self.tools)
        if tools is None or self.has_unknown:
            return None
        paid = standard = uncached = tools
        for terms, counts in self.sums.items():
            rates, full = self._rates(terms), self._rates((*terms[:2], False, terms[3]))
            if rates is None or full is None:
                return None
            paid += _sum(rates, counts)
            standard += _sum(full, counts)
            uncached += sum(counts[:-1]) * rates.input + counts[-1] * rates.output
        return Costs(*(amount.quantize(PICO) for amount in (paid, standard, uncached)))

    def _rates(self, terms: Terms) -> Rates | None:
        model, long, batch, us = terms
        prompt = (self.prices.long_above(model) or 0) + 1 if long else 0
        return self.prices.rates(model, prompt=prompt, batch=batch, us=us)


def price_tools(prices: Prices, uses: Mapping[str, int]) -> Decimal | None:
    """Price uses of server tools; None if the price of one is not known."""
    total = Decimal(0)
    for name, count in uses.items():
        price = prices.tool_price(name)
        if count and price is None:
            return None
        total += count * (price or Decimal(0))
    return total


def price_sums(prices: Prices, model: str, tokens: Mapping[str, int]) -> Decimal | None:
    """Price sums of tokens of one model at its batch price for short prompts."""
    rates = prices.rates(model)
    return None if rates is None else _sum(rates, tuple(tokens.get(name, 0) for name in Rates._fields)).quantize(PICO)


def _sum(rates: Rates, counts: tuple[int, ...]) -> Decimal:
    return sum((rate * count for rate, count in zip(rates, counts, strict=True)), Decimal(0))
