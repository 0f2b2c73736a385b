"""Oracles: what production computes in bulk, computed here for one request at a time, as plainly as can be.

Nothing in `plugins/` calls these. Tests compare the bulk results with them.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

from nightbatch.ids import ID_BYTES, RequestId
from nightbatch.messages.request import SUFFIX, Frame
from nightbatch.messages.usage import BATCH, TokenUsage
from nightbatch.money.prices import PICO, SERVER_TOOLS, Prices


def cost(prices: Prices, model: str, usage: TokenUsage) -> Decimal | None:
    """Price one request; None where the price of its model, or of a tool that it used, is not known."""
    prompt = sum(usage.classes[:-1])
    rates = prices.rates(
        model,
        prompt=prompt,
        batch=usage.service_tier == BATCH,
        us=usage.inference_geo == "us",
    )
    if rates is None:
        return None
    total = sum(
        (rate * count for rate, count in zip(rates, usage.classes, strict=True)),
        Decimal(0),
    )
    for tool, uses in zip(SERVER_TOOLS, usage.tools, strict=True):
        price = prices.tool_price(tool)
        if uses and price is None:
            return None
        total += uses * (price or Decimal(0))
    return total.quantize(PICO)


def request_id(frame: Frame, content: bytes) -> RequestId:
    """Name one request by its content, a JSON value."""
    return RequestId(
        hashlib.sha256(frame.identity + content + SUFFIX).digest()[:ID_BYTES]
    )


def item(frame: Frame, name: bytes, content: bytes) -> bytes:
    """Encode one entry of `requests`."""
    return (
        b'{"custom_id":"'
        + name.hex().encode()
        + b'","params":'
        + frame.wire
        + content
        + SUFFIX
        + b"}"
    )


def body(frame: Frame, contents: list[bytes]) -> bytes:
    """Encode the whole body of a create."""
    items = (item(frame, request_id(frame, content), content) for content in contents)
    return b'{"requests":[' + b",".join(items) + b"]}"
