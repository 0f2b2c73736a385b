"""The shared prefix of a run's requests and the prompt cache: whether it is cached at all, and when priming it pays.

A cached prefix costs twice its price to write for an hour and a tenth to read; in a batch whose first answer has not
begun, most requests write. One request sent ahead makes them read.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from nightbatch.messages.request import Frame
from nightbatch.money.estimate import HITS_COLD, HITS_WARM
from nightbatch.money.prices import Prices

CHARACTERS_A_TOKEN = 4
NEARLY = 0.5
WORTH_A_WAIT = Decimal("0.50")
"""US dollars that priming must be expected to save: it costs nothing but the wait for one more batch."""
SHARED = ("tools", "system")


def long_enough(prices: Prices, model: str, system: str | None) -> bool:
    """Tell whether a system part is long enough for the model to cache it."""
    return len(system or "") / CHARACTERS_A_TOKEN >= prices.cache_minimum(model)


def too_short(prices: Prices, model: str, frame: Frame) -> str | None:
    """Warn of a system part that is just too short to be cached."""
    tokens, least = (
        len(_system(frame)) / CHARACTERS_A_TOKEN,
        prices.cache_minimum(model),
    )
    if not NEARLY * least <= tokens < least:
        return None
    return (
        f"The system part has about {tokens:,.0f} tokens; {model} caches from {least:,} on. "
        "A longer one, with examples for instance, may cost less."
    )


def is_marked(frame: Frame) -> bool:
    """Tell whether the requests of a frame carry cache_control."""
    return frame.wire != frame.identity


def shared_tokens(frame: Frame, frame_tokens: float) -> float:
    """Say how many of a frame's tokens stand before its cache breakpoint; 0 where there is none."""
    if not is_marked(frame):
        return 0.0
    params = _params(frame.identity)
    shared = sum(
        len(msgspec.json.encode(params[name])) for name in SHARED if name in params
    )
    return frame_tokens * min(1.0, shared / len(frame.identity))


def primed_saves(prices: Prices, model: str, shared: float, requests: int) -> Decimal:
    """Say what sending one request ahead of the others is expected to save, in US dollars."""
    rates = prices.rates(model)
    if rates is None or shared < prices.cache_minimum(model) or requests < 2:
        return Decimal(0)
    spared = Decimal(HITS_WARM - HITS_COLD) * Decimal(shared) * (requests - 1)
    return spared * (rates.cache_write_1h - rates.cache_read)


def pays(prices: Prices, model: str, shared: float, requests: int) -> bool:
    """Tell whether a purchase is big enough to be primed by a batch of one request."""
    return primed_saves(prices, model, shared, requests) >= WORTH_A_WAIT


def break_even(prices: Prices, model: str) -> float | None:
    """Say from which share of reads on the one-hour cache costs less than none: 53 % where a read costs a tenth."""
    rates = prices.rates(model)
    if rates is None:
        return None
    return float(
        (rates.cache_write_1h - rates.input) / (rates.cache_write_1h - rates.cache_read)
    )


def hit_rate(tokens: Mapping[str, int]) -> float | None:
    """Say which share of the cached tokens was read; None where nothing was cached."""
    read, written = (
        tokens.get("cache_read", 0),
        tokens.get("cache_write_5m", 0) + tokens.get("cache_write_1h", 0),
    )
    return read / (read + written) if read + written else None


def poor(prices: Prices, model: str, tokens: Mapping[str, int]) -> str | None:
    """Warn of a cache that cost more than it saved."""
    rate, least = hit_rate(tokens), break_even(prices, model)
    if rate is None or least is None or rate >= least:
        return None
    return f"The cache was read for {rate:.0%} of the shared tokens; below {least:.0%} it costs more than it saves."


def _system(frame: Frame) -> str:
    blocks = _params(frame.identity).get("system") or []
    return "".join(block.get("text", "") for block in blocks if isinstance(block, dict))


@lru_cache(maxsize=4)
def _params(identity: bytes) -> dict[str, Any]:
    return Frame(identity, identity).params(b'""')
