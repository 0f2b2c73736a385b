"""The shared prefix of a run's requests and the prompt cache: whether it is cached, and when priming saves money.

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
NEARLY_LONG_ENOUGH = 0.5
LEAST_SAVING_USD = Decimal("0.50")
"""US dollars that priming must be expected to save: it costs nothing but the wait for one more batch."""
SHARED = ("tools", "system")


def long_enough(prices: Prices, model: str, system: str | None) -> bool:
    """Tell whether a system part is long enough for the model to cache it."""
    return len(system or "") / CHARACTERS_A_TOKEN >= prices.cache_minimum(model)


def too_short(prices: Prices, model: str, frame: Frame) -> str | None:
    """Warn of a system part that is just too short to be cached."""
    system_tokens = len(_system(frame)) / CHARACTERS_A_TOKEN
    minimum_tokens = prices.cache_minimum(model)
    nearly_enough = NEARLY_LONG_ENOUGH * minimum_tokens
    is_just_too_short = nearly_enough <= system_tokens < minimum_tokens
    if not is_just_too_short:
        return None
    return (
        f"The system part has about {system_tokens:,.0f} tokens; {model} caches from {minimum_tokens:,} on. "
        "A longer one, with examples for instance, may cost less."
    )


def has_cache_control(frame: Frame) -> bool:
    """Tell whether the requests of a frame carry cache_control."""
    return frame.wire != frame.identity


def shared_tokens(frame: Frame, frame_tokens: float) -> float:
    """Estimate how many of a frame's tokens are before its cache breakpoint; 0 if it has none."""
    if not has_cache_control(frame):
        return 0.0
    params = _params(frame.identity)
    shared_bytes = 0
    for name in SHARED:
        if name not in params:
            continue
        param_json = msgspec.json.encode(params[name])
        shared_bytes += len(param_json)
    frame_bytes = len(frame.identity)
    shared_share = min(1.0, shared_bytes / frame_bytes)
    return frame_tokens * shared_share


def primed_saves(prices: Prices, model: str, shared: float, requests: int) -> Decimal:
    """Estimate what sending one request ahead of the others saves, in US dollars."""
    rates = prices.rates(model)
    if rates is None or requests < 2:
        return Decimal(0)
    if shared < prices.cache_minimum(model):
        return Decimal(0)
    more_hits = Decimal(HITS_WARM - HITS_COLD)
    other_requests = requests - 1
    more_tokens_read = more_hits * Decimal(shared) * other_requests
    saved_per_token = rates.cache_write_1h - rates.cache_read
    return more_tokens_read * saved_per_token


def priming_pays(prices: Prices, model: str, shared: float, requests: int) -> bool:
    """Tell whether a purchase is big enough to be primed by a batch of one request."""
    return primed_saves(prices, model, shared, requests) >= LEAST_SAVING_USD


def break_even(prices: Prices, model: str) -> float | None:
    """Return the share of reads above which the one-hour cache saves money: 53 % where a read costs a tenth."""
    rates = prices.rates(model)
    if rates is None:
        return None
    extra_per_write = rates.cache_write_1h - rates.input
    saved_per_hit = rates.cache_write_1h - rates.cache_read
    return float(extra_per_write / saved_per_hit)


def hit_rate(tokens: Mapping[str, int]) -> float | None:
    """Return which share of the cached tokens was read; None where nothing was cached."""
    read = tokens.get("cache_read", 0)
    written = tokens.get("cache_write_5m", 0) + tokens.get("cache_write_1h", 0)
    cached = read + written
    return read / cached if cached else None


def poor_hit_rate(prices: Prices, model: str, tokens: Mapping[str, int]) -> str | None:
    """Warn of a cache that cost more than it saved."""
    hits = hit_rate(tokens)
    least_hits = break_even(prices, model)
    if hits is None or least_hits is None:
        return None
    if hits >= least_hits:
        return None
    return (
        f"The cache was read for {hits:.0%} of the shared tokens; "
        f"below {least_hits:.0%} it costs more than it saves."
    )


def _system(frame: Frame) -> str:
    blocks = _params(frame.identity).get("system") or []
    texts = [block.get("text", "") for block in blocks if isinstance(block, dict)]
    return "".join(texts)


@lru_cache(maxsize=4)
def _params(identity: bytes) -> dict[str, Any]:
    return Frame(identity, identity).params(b'""')
