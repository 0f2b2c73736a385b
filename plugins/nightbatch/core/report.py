"""The report of a published partition: what was asked, bought and answered, what it cost and what was saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core.facts import LandedFact
from nightbatch.core.price import Prices, Usage
from nightbatch.core.results import TOKENS

CENT_PARTS = Decimal("0.000001")


@dataclass(frozen=True)
class Saved:
    """US dollars that were not paid: by batch price, by the cache, by reuse of answers, by duplicates."""

    batch: Decimal
    cache: Decimal
    reuse: Decimal
    duplicates: Decimal

    def to_json(self) -> dict[str, float]:
        """Return the four as numbers."""
        return {name: dollars(getattr(self, name)) or 0.0 for name in ("batch", "cache", "reuse", "duplicates")}


def tokens(facts: Iterable[LandedFact]) -> dict[str, int]:
    """Sum the tokens that were bought, by class."""
    total: dict[str, int] = {}
    for fact in facts:
        for name, count in fact.tokens.items():
            total[name] = total.get(name, 0) + count
    return total


def by_price(prices: Prices, model: str, bought: Mapping[str, int]) -> tuple[Decimal, Decimal]:
    """Return what batch price and cache have saved on these tokens."""
    counts = {name: bought.get(name, 0) for name in TOKENS}
    paid = prices.cost(model, _usage(counts))
    standard = prices.cost(model, _usage(counts, "standard"))
    whole = sum(counts.values()) - counts["output"]
    uncached = prices.cost(model, Usage(input=whole, output=counts["output"]))
    if paid is None or standard is None or uncached is None:
        return Decimal(0), Decimal(0)
    return standard - paid, uncached - paid


def _usage(counts: Mapping[str, int], tier: str = "batch") -> Usage:
    fresh, write_5m, write_1h, read, output = (counts[name] for name in TOKENS)
    return Usage(fresh, write_5m, write_1h, read, output, service_tier=tier)


def cost(facts: Iterable[LandedFact]) -> Decimal | None:
    """Sum what shards have cost; None if one of them has an unknown price."""
    total = Decimal(0)
    for fact in facts:
        if fact.cost_usd is None:
            return None
        total += Decimal(fact.cost_usd)
    return total


def dollars(amount: Decimal | None) -> float | None:
    """Round to a millionth of a dollar, for a report; the facts keep the exact amount."""
    return None if amount is None else float(amount.quantize(CENT_PARTS))


def whole_costs(costs: pa.ChunkedArray) -> Decimal:
    """Sum a column of costs."""
    total = pc.sum(costs.cast(pa.decimal128(38, 12))).as_py()
    return Decimal(total or 0)


Report = dict[str, Any]
