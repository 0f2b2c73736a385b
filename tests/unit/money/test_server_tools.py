"""Server tools are billed by use: each use is on the bill, at a known price or as an unknown cost, never as nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from nightbatch.ids import BatchId
from nightbatch.land.landing import Landing
from nightbatch.land.received import Received
from nightbatch.messages.answer_type import AnswerType
from nightbatch.money.prices import Prices, our_prices
from nightbatch.money.server_tools import tool_uses

IDS = [bytes([number]) * 20 for number in range(3)]
SEARCH = {"usd_per_1000": "10", "source": "a contract", "as_of": "2026-12-01"}
PRICED = our_prices().merged_with({"server_tools": {"web_search": SEARCH}})
TEXT = [{"type": "text", "text": "yes"}]
SEARCHED = [
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    *TEXT,
]


def line(name: bytes, uses: Any, content: list[dict[str, Any]] = TEXT) -> bytes:
    """Write a result line of an answer that used a server tool."""
    usage = {"input_tokens": 1_000, "output_tokens": 0, "server_tool_use": uses}
    message = {
        "content": content,
        "stop_reason": "end_turn",
        "model": "claude-haiku-4-5",
        "usage": usage,
    }
    return (
        json.dumps(
            {
                "custom_id": name.hex(),
                "result": {"type": "succeeded", "message": message},
            }
        ).encode()
        + b"\n"
    )


def land(prices: Prices, block: bytes) -> tuple[list[Decimal | None], Landing]:
    """Land a block of lines; return what each row costs."""
    landing = Landing(
        AnswerType(None), BatchId("b"), prices, Received(IDS), "claude-haiku-4-5"
    )
    rows = pa.Table.from_batches([landing.add(block)]).sort_by("id")
    return rows.column("cost_usd").to_pylist(), landing


@pytest.mark.parametrize("content", [TEXT, SEARCHED])
def test_a_search_without_a_known_price_makes_the_cost_unknown(
    content: list[dict[str, Any]],
) -> None:
    costs, landing = land(
        our_prices(),
        line(IDS[0], {"web_search_requests": 1}, content) + line(IDS[1], None),
    )
    assert costs == [None, Decimal("0.0005")]
    assert landing.bill.costs() is None
    assert landing.bill.tools == {"web_search": 1}


@pytest.mark.parametrize("content", [TEXT, SEARCHED])
def test_a_search_with_a_price_is_paid_for_by_use_and_no_batch_makes_it_cheaper(
    content: list[dict[str, Any]],
) -> None:
    costs, landing = land(
        PRICED,
        line(IDS[0], {"web_search_requests": 1_000, "web_fetch_requests": 0}, content),
    )
    assert costs == [Decimal("10.0005")]
    bill = landing.bill.costs()
    assert bill is not None
    assert (bill.paid, bill.standard) == (Decimal("10.0005"), Decimal("10.001"))


def test_the_price_of_one_tool_is_not_that_of_another() -> None:
    assert land(
        PRICED,
        line(IDS[0], {"web_search_requests": 1, "web_fetch_requests": 1}, SEARCHED),
    )[0] == [None]


def test_no_use_costs_nothing() -> None:
    nothing = {"web_search_requests": 0, "web_fetch_requests": None}
    assert land(our_prices(), line(IDS[0], nothing))[0] == [Decimal("0.0005")]


@pytest.mark.parametrize(
    "reported",
    [
        {"web_search_requests": -1}, {"web_search_requests": 2**62}, {"web_search_requests": "many"},
        {"web_search_requests": 1.5}, {"later_tool_requests": 1}, [1], "1",
    ],
)  # fmt: skip
def test_what_cannot_be_read_as_uses_of_a_known_tool_has_no_price(
    reported: Any,
) -> None:
    assert tool_uses(reported) == (0, 0, 1)
    assert land(PRICED, line(IDS[0], reported, SEARCHED))[0] == [None]
