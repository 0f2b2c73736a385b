"""What requests cost and would have cost, summed by what determines the price: exact, however many there are.

Prices are linear in tokens within one model, tier, region and prompt length, so sums of tokens by those are enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import add
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from nightbatch.messages.usage import BATCH
from nightbatch.money.prices import PICO, SERVER_TOOLS, Prices, Rates

Terms = tuple[str, bool, bool, bool]
"""What determines a price: the model, a long prompt, the batch tier, inference in the US."""


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
        request_count = len(counts)
        _, _, is_batch, _ = terms
        no_tokens = (0,) * counts.shape[1]
        previous_sums = self.sums.get(terms, no_tokens)
        new_sums = counts.sum(axis=0).tolist()
        output_counts = counts[:, -1]
        longest_output = int(output_counts.max())
        self.sums[terms] = tuple(map(add, previous_sums, new_sums))
        self.answers += request_count
        if not is_batch:
            self.full_price += request_count
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
            rates = _rates(self.prices, terms)
            standard_rates = _rates(self.prices, _outside_batch(terms))
            if rates is None or standard_rates is None:
                return None
            paid += _sum(rates, counts)
            standard += _sum(standard_rates, counts)
            uncached += _sum_uncached(rates, counts)
        return Costs(
            paid=paid.quantize(PICO),
            standard=standard.quantize(PICO),
            uncached=uncached.quantize(PICO),
        )


def _rates(prices: Prices, terms: Terms) -> Rates | None:
    model, is_long, is_batch, is_us = terms
    prompt_tokens = 0
    if is_long:
        prompt_tokens = (prices.long_above(model) or 0) + 1
    return prices.rates(model, prompt=prompt_tokens, batch=is_batch, us=is_us)


def _outside_batch(terms: Terms) -> Terms:
    model, is_long, _, is_us = terms
    return (model, is_long, False, is_us)


def price_tools(prices: Prices, uses: Mapping[str, int]) -> Decimal | None:
    """Price uses of server tools; None if the price of one is not known."""
    total_usd = Decimal(0)
    for name, count in uses.items():
        price = prices.tool_price(name)
        if count and price is None:
            return None
        total_usd += count * (price or Decimal(0))
    return total_usd


def price_sums(prices: Prices, model: str, tokens: Mapping[str, int]) -> Decimal | None:
    """Price sums of tokens of one model at its batch price for short prompts."""
    rates = prices.rates(model)
    if rates is None:
        return None
    classes = Rates._fields
    token_counts = [tokens.get(token_class, 0) for token_class in classes]
    total_usd = _sum(rates, token_counts)
    return total_usd.quantize(PICO)


def _sum(rates: Rates, counts: Sequence[int]) -> Decimal:
    amounts = (rate * count for rate, count in zip(rates, counts, strict=True))
    return sum(amounts, Decimal(0))


def _sum_uncached(rates: Rates, counts: Sequence[int]) -> Decimal:
    """Price tokens as if there were no cache: all of the prompt at the price of input."""
    *prompt_counts, output_count = counts
    return sum(prompt_counts) * rates.input + output_count * rates.output


class Used(NamedTuple):
    """What rows have used: a column each for model, service tier (null: nothing was used) and region.

    tokens: by class, a row each. tools: uses of each of SERVER_TOOLS, a row each.
    """

    models: pa.Array
    tiers: pa.Array
    regions: pa.Array
    tokens: np.ndarray
    tools: np.ndarray


NO_LIMIT = 2**62
"""More tokens than any prompt has."""
MOST_TOKENS = 10**9
"""No request can have this many tokens of a class: such a count, or one below 0, is an error in the API's usage."""
ABSURD = -1
"""Replaces such a count that does not fit into an integer column."""


def is_absurd(tokens: np.ndarray) -> np.ndarray:
    """Tell which rows have a count of tokens that no request can have."""
    is_impossible = (tokens < 0) | (tokens >= MOST_TOKENS)
    return np.asarray(is_impossible.any(axis=1))


def charged(
    prices: Prices, bill: BilledUsage, used: Used
) -> tuple[np.ndarray, np.ndarray]:
    """Price rows and add them to the bill; return the cost of each in 10^-12 USD, and where the price is not known.

    Rows with absurd counts of tokens have an unknown price.
    """
    unknown = is_absurd(used.tokens)
    if unknown.any():
        bill.has_unknown = True
        plausible_tokens = np.where(unknown[:, None], 0, used.tokens)
        used = used._replace(tokens=plausible_tokens)
    cost = np.zeros(len(used.tokens), dtype=np.int64)
    for model, tier, region, in_group in _groups(used):
        has_long_prompt = _has_long_prompt(prices, model, used.tokens)
        is_batch = tier == BATCH
        is_us = region == "us"
        for is_long in (False, True):
            rows = np.flatnonzero(in_group & (has_long_prompt == is_long))
            if not len(rows):
                continue
            terms = (model, is_long, is_batch, is_us)
            row_costs = _charge_rows(prices, bill, terms, used.tokens[rows])
            if row_costs is None:
                unknown[rows] = True
            else:
                cost[rows] = row_costs
    _charge_tools(prices, bill, used.tools, cost, unknown)
    return cost, unknown


def _has_long_prompt(prices: Prices, model: str, tokens: np.ndarray) -> np.ndarray:
    """Tell which rows have so many input tokens that the model's prices rise."""
    long_above = prices.long_above(model)
    limit = NO_LIMIT if long_above is None else long_above
    prompt_tokens = tokens[:, :4].sum(axis=1)
    return np.asarray(prompt_tokens > limit)


def _charge_rows(
    prices: Prices, bill: BilledUsage, terms: Terms, tokens: np.ndarray
) -> np.ndarray | None:
    """Add rows of the same terms to the bill; return the cost of each, or None where the price is not known."""
    bill.add_all(terms, tokens)
    rates = _rates(prices, terms)
    if rates is None:
        return None
    return _priced(rates, tokens)


def _charge_tools(
    prices: Prices,
    bill: BilledUsage,
    tools: np.ndarray,
    cost: np.ndarray,
    unknown: np.ndarray,
) -> None:
    """Add to `cost` what tools cost by use; rows that used one without a price cost an unknown amount."""
    for name, uses in zip(SERVER_TOOLS, tools.T, strict=True):
        rows = np.flatnonzero(uses)
        if not len(rows):
            continue
        total_uses = int(uses.sum())
        bill.add_tool(name, total_uses)
        price = prices.tool_price(name)
        if price is None:
            unknown[rows] = True
        else:
            row_uses = uses[rows].tolist()
            cost[rows] += [_in_pico(price * count) for count in row_uses]
    cost[unknown] = 0


def _in_pico(amount: Decimal) -> int:
    """Convert US dollars to 10^-12 US dollars, rounded."""
    return int(amount.quantize(PICO) / PICO)


def _groups(used: Used) -> Iterator[tuple[str, str, str | None, np.ndarray]]:
    """Group the rows that have used something by model, tier and region."""
    columns = (used.models, used.tiers, used.regions)
    group_codes = np.zeros(len(used.tokens), dtype=np.int64)
    for column in columns:
        encoded = column.dictionary_encode("encode")
        value_count = len(encoded.dictionary)
        value_codes = np.asarray(encoded.indices)
        group_codes = group_codes * value_count + value_codes
    _, first_rows, group_numbers = np.unique(
        group_codes, return_index=True, return_inverse=True
    )
    for number, first_row in enumerate(first_rows.tolist()):
        tier = used.tiers[first_row].as_py()
        if tier is None:
            continue
        model = used.models[first_row].as_py()
        region = used.regions[first_row].as_py()
        yield model, tier, region, group_numbers == number


def _priced(rates: Rates, counts: np.ndarray) -> np.ndarray:
    """Multiply tokens by rates; rows are rounded to 10^-12 USD one by one where a rate is finer than that."""
    pico_rates = [rate / PICO for rate in rates]
    are_whole = all(rate == rate.to_integral_value() for rate in pico_rates)
    if are_whole:
        whole_rates = [int(rate) for rate in pico_rates]
        rate_vector = np.array(whole_rates, dtype=np.int64)
        exact_costs: np.ndarray = counts @ rate_vector
        return exact_costs
    row_costs = [_in_pico(_sum(rates, row)) for row in counts.tolist()]
    return np.array(row_costs, dtype=np.int64)


def decimals(kind: pa.DataType, whole: np.ndarray, null: np.ndarray) -> pa.Array:
    """Make decimals from whole numbers of their last digit."""
    row_count = len(whole)
    halves = np.empty((row_count, 2), dtype=np.int64)
    halves[:, 0] = whole
    halves[:, 1] = whole >> 63
    is_valid = pa.array(~null)
    _, validity_bits = is_valid.buffers()
    value_bytes = pa.py_buffer(halves)
    return pa.Array.from_buffers(kind, row_count, [validity_bits, value_bytes])
