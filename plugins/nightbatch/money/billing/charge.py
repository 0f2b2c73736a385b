"""What each row has cost, for a block of rows at a time: in 10^-12 US dollars, exact."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from nightbatch.messages.usage import BATCH
from nightbatch.money.billing.bill import BilledUsage, price_of, rates_of
from nightbatch.money.prices import PICO, SERVER_TOOLS, Prices, Rates, Terms


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


def charged(bill: BilledUsage, used: Used) -> tuple[np.ndarray, np.ndarray]:
    """Price rows and add them to the bill; return the cost of each in 10^-12 USD, and where the price is not known.

    Rows with absurd counts of tokens have an unknown price.
    """
    unknown = is_absurd(used.tokens)
    if unknown.any():
        bill.has_unknown = True
        plausible_tokens = np.where(unknown[:, None], 0, used.tokens)
        used = used._replace(tokens=plausible_tokens)
    cost = np.zeros(len(used.tokens), dtype=np.int64)
    for terms, rows in _rows_by_terms(bill.prices, used):
        row_costs = _charge_rows(bill, terms, used.tokens[rows])
        if row_costs is None:
            unknown[rows] = True
        else:
            cost[rows] = row_costs
    _charge_tools(bill, used.tools, cost, unknown)
    cost[unknown] = 0
    return cost, unknown


def _rows_by_terms(prices: Prices, used: Used) -> Iterator[tuple[Terms, np.ndarray]]:
    """Find the rows, by their numbers, that have the same terms."""
    for group in _price_groups(used):
        has_long_prompt = _has_long_prompt(prices, group.model, used.tokens)
        is_batch = group.tier == BATCH
        is_us = group.region == "us"
        for is_long in (False, True):
            has_terms = group.is_member & (has_long_prompt == is_long)
            rows = np.flatnonzero(has_terms)
            if len(rows):
                yield Terms(group.model, is_long, is_batch, is_us), rows


def _has_long_prompt(prices: Prices, model: str, tokens: np.ndarray) -> np.ndarray:
    """Tell which rows have so many input tokens that the model's prices rise."""
    long_above = prices.long_above(model)
    limit = NO_LIMIT if long_above is None else long_above
    prompt_tokens = tokens[:, :4].sum(axis=1)
    return np.asarray(prompt_tokens > limit)


def _charge_rows(
    bill: BilledUsage, terms: Terms, tokens: np.ndarray
) -> np.ndarray | None:
    """Add rows of the same terms to the bill; return the cost of each, or None where the price is not known."""
    bill.add_all(terms, tokens)
    rates = rates_of(bill.prices, terms)
    if rates is None:
        return None
    return _priced(rates, tokens)


def _charge_tools(
    bill: BilledUsage, tools: np.ndarray, cost: np.ndarray, unknown: np.ndarray
) -> None:
    """Add to `cost` what tools cost by use; note in `unknown` the rows that used one without a price."""
    for name, uses in zip(SERVER_TOOLS, tools.T, strict=True):
        rows = np.flatnonzero(uses)
        if not len(rows):
            continue
        total_uses = int(uses.sum())
        bill.add_tool(name, total_uses)
        price = bill.prices.tool_price(name)
        if price is None:
            unknown[rows] = True
        else:
            row_uses = uses[rows].tolist()
            cost[rows] += [_in_pico(price * count) for count in row_uses]


def _in_pico(amount: Decimal) -> int:
    """Convert US dollars to 10^-12 US dollars, rounded."""
    return int(amount.quantize(PICO) / PICO)


class _PriceGroup(NamedTuple):
    """The rows of the same model, tier and region; `is_member`: which rows these are."""

    model: str
    tier: str
    region: str | None
    is_member: np.ndarray


def _price_groups(used: Used) -> Iterator[_PriceGroup]:
    """Group the rows that have used something."""
    _, first_rows, group_numbers = np.unique(
        _group_codes(used), return_index=True, return_inverse=True
    )
    for number, first_row in enumerate(first_rows.tolist()):
        tier = used.tiers[first_row].as_py()
        if tier is None:
            continue
        model = used.models[first_row].as_py()
        region = used.regions[first_row].as_py()
        is_member = group_numbers == number
        yield _PriceGroup(model, tier, region, is_member)


def _group_codes(used: Used) -> np.ndarray:
    """Return a number for each row, the same where model, tier and region are the same."""
    group_codes = np.zeros(len(used.tokens), dtype=np.int64)
    for column in (used.models, used.tiers, used.regions):
        encoded = column.dictionary_encode("encode")
        value_count = len(encoded.dictionary)
        value_codes = np.asarray(encoded.indices)
        group_codes = group_codes * value_count + value_codes
    return group_codes


def _priced(rates: Rates, counts: np.ndarray) -> np.ndarray:
    """Multiply tokens by rates; rows are rounded to 10^-12 USD one by one where a rate is finer than that."""
    pico_rates = [rate / PICO for rate in rates]
    are_whole = all(rate == rate.to_integral_value() for rate in pico_rates)
    if are_whole:
        whole_rates = [int(rate) for rate in pico_rates]
        rate_vector = np.array(whole_rates, dtype=np.int64)
        exact_costs: np.ndarray = counts @ rate_vector
        return exact_costs
    row_costs = [_in_pico(price_of(rates, row)) for row in counts.tolist()]
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
