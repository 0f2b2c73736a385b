"""Pricing a block at once gives each row the price that it has alone, and the bill the same sums."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from tests.support import oracles

from nightbatch.land.landed_schema import COST
from nightbatch.messages.usage import TokenUsage
from nightbatch.money.billing.bill import BilledUsage
from nightbatch.money.billing.charge import Used, charged, decimals
from nightbatch.money.prices import PICO, Prices, our_prices

TOKENS = st.integers(0, 300_000)
USES = st.just(0) | st.integers(0, 9_999)
USAGES = st.builds(
    TokenUsage,
    TOKENS,
    TOKENS,
    TOKENS,
    TOKENS,
    TOKENS,
    st.sampled_from(["batch", "standard"]),
    st.sampled_from([None, "us"]),
    st.tuples(USES, USES, st.integers(0, 1)),
)
USED = st.lists(
    st.none()
    | st.tuples(
        st.sampled_from(["claude-haiku-4-5", "claude-haiku-5-5", "who"]), USAGES
    ),
    max_size=8,
)
SEARCH = {
    "web_search": {"usd_per_1000": "10", "source": "a contract", "as_of": "2026-12-01"}
}
SEARCHES = our_prices().merged_with({"server_tools": SEARCH})
FINE = our_prices().merged_with(
    {"models": {"claude-haiku-4-5": {"input": "0.0000001", "output": "0.0000003"}}}
)


def alone(
    prices: Prices, used: list[tuple[str, TokenUsage] | None]
) -> list[Decimal | None]:
    return [Decimal(0) if one is None else oracles.cost(prices, *one) for one in used]


@given(USED, st.sampled_from([our_prices(), FINE, SEARCHES]))
def test_rows_cost_together_what_they_cost_alone(
    used: list[tuple[str, TokenUsage] | None], prices: Prices
) -> None:
    bill = BilledUsage(prices)
    counts = np.array(
        [one[1].classes if one else (0,) * 5 for one in used], np.int64
    ).reshape(-1, 5)
    models, tiers, regions = (
        pa.array([one and get(one) for one in used], pa.string())
        for get in (
            lambda one: one[0],
            lambda one: one[1].service_tier,
            lambda one: one[1].inference_geo,
        )
    )
    tools = np.array(
        [one[1].tools if one else (0,) * 3 for one in used], np.int64
    ).reshape(-1, 3)
    cost, unknown = charged(bill, Used(models, tiers, regions, counts, tools))
    assert decimals(COST, cost, unknown).to_pylist() == [
        None if one is None else one.quantize(PICO) for one in alone(prices, used)
    ]
    billed = [one for one in used if one is not None]
    assert bill.answers == len(billed)
    assert bill.full_price == sum(usage.service_tier != "batch" for _, usage in billed)
    assert list(bill.tools.values()) == [
        sum(u)
        for u in zip(*(usage.tools for _, usage in billed), strict=True)
        if any(u)
    ]
    assert bill.longest == max((usage.output for _, usage in billed), default=0)
    assert sum(map(sum, bill.sums.values())) == sum(
        sum(usage.classes) for _, usage in billed
    )


@given(st.lists(st.tuples(st.integers(-(10**17), 10**17), st.booleans()), max_size=8))
def test_decimals_are_what_arrow_makes_of_them(rows: list[tuple[int, bool]]) -> None:
    whole, null = (
        np.array([one for one, _ in rows], np.int64),
        np.array([gone for _, gone in rows], bool),
    )
    made = decimals(COST, whole, null)
    made.validate(full=True)
    assert made.to_pylist() == [None if gone else one * PICO for one, gone in rows]
