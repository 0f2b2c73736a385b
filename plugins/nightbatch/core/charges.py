"""Prices a block of results at once: sums of whole 10^-12 US dollars instead of a Decimal for each row.

What decides a price is the same for nearly all rows of a block, so they are priced in groups of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from nightbatch.core.bill import Bill
from nightbatch.core.price import BATCH, PICO, SERVER_TOOLS, Prices, Rates


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


def _charge_tools(prices: Prices, bill: Bill, tools: np.ndarray, cost: np.ndarray, unknown: np.ndarray) -> None:
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
            cost[rows] += [int((price * count).quantize(PICO) / PICO) for count in uses[rows].tolist()]
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
        exact: np.ndarray = counts @ np.array([int(rate) for rate in pico], dtype=np.int64)
        return exact
    totals = (sum((rate * n for rate, n in zip(rates, row, strict=True)), Decimal(0)) for row in counts.tolist())
    return np.array([int(total.quantize(PICO) / PICO) for total in totals], dtype=np.int64)


def decimals(kind: pa.DataType, whole: np.ndarray, null: np.ndarray) -> pa.Array:
    """Make decimals of whole numbers of their last digit."""
    halves = np.empty((len(whole), 2), dtype=np.int64)
    halves[:, 0], halves[:, 1] = whole, whole >> 63
    return pa.Array.from_buffers(kind, len(whole), [pa.array(~null).buffers()[1], pa.py_buffer(halves)])
