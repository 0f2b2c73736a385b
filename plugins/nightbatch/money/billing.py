"""What requests cost and would have cost, summed by what decides the price: exact, however many there are.

Prices are linear in tokens within one model, tier, region and prompt length, so sums of tokens over those suffice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from operator import add
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from nightbatch.messages.usage import BATCH
from nightbatch.money.prices import PICO, SERVER_TOOLS, Prices, Rates

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
    return (
        None
        if rates is None
        else _sum(rates, tuple(tokens.get(name, 0) for name in Rates._fields)).quantize(
            PICO
        )
    )


def _sum(rates: Rates, counts: tuple[int, ...]) -> Decimal:
    return sum(
        (rate * count for rate, count in zip(rates, counts, strict=True)), Decimal(0)
    )


class Used(NamedTuple):
    """What rows have used: model, service tier (null: nothing), region, a column each.

    tokens: by class, a row each. tools: uses of each of SERVER_TOOLS, a row each.
    """

    models: pa.Array
    tiers: pa.Array
    regions: pa.Array
    tokens: np.ndarray
    tools: np.ndarray


MOST_TOKENS = 10**9
"""No request can have so many tokens of a class: a count from here on, or below 0, is an error of whoever wrote it."""
ABSURD = -1
"""Stands for such a count where it has no place in an integer column."""


def is_absurd(tokens: np.ndarray) -> np.ndarray:
    """Tell which rows have a count of tokens that no request can have."""
    return np.asarray(((tokens < 0) | (tokens >= MOST_TOKENS)).any(axis=1))


def charged(prices: Prices, bill: Bill, used: Used) -> tuple[np.ndarray, np.ndarray]:
    """Price rows and put them on the bill; return 10^-12 USD of each, and where the price is not known.

    Rows with absurd counts of tokens have an unknown price.
    """
    unknown = is_absurd(used.tokens)
    if unknown.any():
        bill.has_unknown = True
        used = used._replace(tokens=np.where(unknown[:, None], 0, used.tokens))
    cost = np.zeros(len(used.tokens), dtype=np.int64)
    for model, tier, region, same in _alike(used):
        above = prices.long_above(model)
        long = used.tokens[:, :4].sum(axis=1) > (2**62 if above is None else above)
        kind = (tier == BATCH, region == "us")
        for is_long in (False, True):
            rows = np.flatnonzero(same & (long == is_long))
            if len(rows):
                prompt = (above or 0) + 1 if is_long else 0
                rates = prices.rates(model, prompt=prompt, batch=kind[0], us=kind[1])
                bill.add_all((model, is_long, *kind), used.tokens[rows])
                if rates is None:
                    unknown[rows] = True
                else:
                    cost[rows] = _priced(rates, used.tokens[rows])
    _charge_tools(prices, bill, used.tools, cost, unknown)
    return cost, unknown


def _charge_tools(
    prices: Prices, bill: Bill, tools: np.ndarray, cost: np.ndarray, unknown: np.ndarray
) -> None:
    """Add to `cost` what tools cost by use; rows that used one without a price cost an unknown amount."""
    for name, uses in zip(SERVER_TOOLS, tools.T, strict=True):
        rows = np.flatnonzero(uses)
        if not len(rows):
            continue
        bill.add_tool(name, int(uses.sum()))
        price = prices.tool_price(name)
        if price is None:
            unknown[rows] = True
        else:
            cost[rows] += [
                int((price * count).quantize(PICO) / PICO)
                for count in uses[rows].tolist()
            ]
    cost[unknown] = 0


def _alike(used: Used) -> Iterator[tuple[str, str, str | None, np.ndarray]]:
    """Group the rows that have used something by model, tier and region."""
    encoded = [column.dictionary_encode("encode") for column in used[:3]]
    codes = np.zeros(len(used.tokens), dtype=np.int64)
    for one in encoded:
        codes = codes * len(one.dictionary) + np.asarray(one.indices)
    _, firsts, places = np.unique(codes, return_index=True, return_inverse=True)
    for number, first in enumerate(firsts.tolist()):
        model, tier, region = (one[first].as_py() for one in used[:3])
        if tier is not None:
            yield model, tier, region, places == number


def _priced(rates: Rates, counts: np.ndarray) -> np.ndarray:
    """Multiply tokens by rates; rows are rounded to 10^-12 USD one by one where a rate is finer than that."""
    pico = [rate / PICO for rate in rates]
    if all(rate == rate.to_integral_value() for rate in pico):
        exact: np.ndarray = counts @ np.array(
            [int(rate) for rate in pico], dtype=np.int64
        )
        return exact
    totals = (
        sum((rate * n for rate, n in zip(rates, row, strict=True)), Decimal(0))
        for row in counts.tolist()
    )
    return np.array(
        [int(total.quantize(PICO) / PICO) for total in totals], dtype=np.int64
    )


def decimals(kind: pa.DataType, whole: np.ndarray, null: np.ndarray) -> pa.Array:
    """Make decimals of whole numbers of their last digit."""
    halves = np.empty((len(whole), 2), dtype=np.int64)
    halves[:, 0], halves[:, 1] = whole, whole >> 63
    return pa.Array.from_buffers(
        kind, len(whole), [pa.array(~null).buffers()[1], pa.py_buffer(halves)]
    )
