"""Prices a block of results at once: sums of whole 10^-12 US dollars instead of a Decimal for each row.

What decides a price is the same for nearly all rows of a block, so they are priced in groups of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa

from nightbatch.core.bill import Bill
from nightbatch.core.price import BATCH, PICO, Prices, Rates, Usage

Used = tuple[str, Usage]
"""The model that answered, and the tokens that it took."""


def counted(used: Sequence[Used | None]) -> np.ndarray:
    """Lay out the tokens of each row by class; zeros for a row that used none."""
    none = Usage()
    usages = (none if one is None else one[1] for one in used)
    rows = [(u.input, u.cache_write_5m, u.cache_write_1h, u.cache_read, u.output) for u in usages]
    return np.array(rows, dtype=np.int64).reshape(-1, 5)


def charged(
    prices: Prices, bill: Bill, used: Sequence[Used | None], counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Price rows and put them on the bill; return 10^-12 USD of each, and where the price is not known."""
    kinds = [one and _kind(*one) for one in used]
    cost, unknown = np.zeros(len(used), dtype=np.int64), np.zeros(len(used), dtype=bool)
    for kind in {kind for kind in kinds if kind is not None}:
        same = np.ones(len(used), bool) if len(set(kinds)) == 1 else np.array([one == kind for one in kinds])
        above = prices.long_above(kind[0])
        long = counts[:, :4].sum(axis=1) > (2**62 if above is None else above)
        for is_long in (False, True):
            rows = np.flatnonzero(same & (long == is_long))
            if len(rows):
                prompt = (above or 0) + 1 if is_long else 0
                rates = prices.rates(kind[0], prompt=prompt, batch=kind[1], us=kind[2])
                bill.add_all((kind[0], is_long, *kind[1:]), counts[rows])
                cost[rows], unknown[rows] = (0, True) if rates is None else (_priced(rates, counts[rows]), False)
    return cost, unknown


def _kind(model: str, usage: Usage) -> tuple[str, bool, bool]:
    return model, usage.service_tier == BATCH, usage.inference_geo == "us"


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
