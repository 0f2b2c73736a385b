"""What a purchase will cost, before it is made: expected and at most."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from nightbatch.core.price import Prices, Usage

BYTES_A_TOKEN = 4
OUTPUT_SHARE = Decimal("0.35")


@dataclass(frozen=True)
class Estimate:
    """US dollars for a number of requests; None where the model's price is not known."""

    requests: int
    expected: Decimal | None
    at_most: Decimal | None


def estimate(prices: Prices, *, model: str, max_tokens: int, requests: int, request_bytes: int) -> Estimate:
    """Price requests by their length in bytes; the answers are at most `max_tokens` long."""
    tokens = request_bytes // BYTES_A_TOKEN
    most = prices.cost(model, Usage(input=tokens, output=max_tokens * requests))
    expected = prices.cost(model, Usage(input=tokens, output=int(max_tokens * requests * OUTPUT_SHARE)))
    return Estimate(requests, expected, most)
