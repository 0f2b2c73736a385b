"""What single results cost as they land: tiers, long prompts, dated and unknown models, usage that is incomplete."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from nightbatch.ids import BatchId
from nightbatch.land.landing import Landing
from nightbatch.land.received import Received
from nightbatch.messages.answer_type import AnswerType
from nightbatch.money.billing.bill import BilledUsage
from nightbatch.money.prices import our_prices

ID = bytes(20)
MILLION = 1_000_000


def landed(model: str | None, **usage: Any) -> tuple[Decimal | None, BilledUsage]:
    """Land one answered request with this usage; return its cost and the bill."""
    message = {
        "content": [{"type": "text", "text": "yes"}],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    message |= {} if model is None else {"model": model}
    line = {"custom_id": ID.hex(), "result": {"type": "succeeded", "message": message}}
    landing = Landing(
        AnswerType(None), BatchId("b"), our_prices(), Received([ID]), "claude-haiku-4-5"
    )
    rows = landing.add(json.dumps(line).encode() + b"\n")
    return rows.column("cost_usd")[0].as_py(), landing.bill


def test_all_classes_of_tokens_are_priced() -> None:
    cost, _ = landed(
        "claude-haiku-4-5-20251001", input_tokens=10, cache_creation_input_tokens=300, cache_read_input_tokens=50,
        cache_creation={"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}, output_tokens=7,
        service_tier="batch",
    )  # fmt: skip
    terms = (("0.5", 10), ("0.625", 100), ("1", 200), ("0.05", 50), ("2.5", 7))
    assert cost == sum(Decimal(price) * count for price, count in terms) / MILLION


def test_another_tier_than_batch_is_billed_in_full_and_flagged() -> None:
    batch, _ = landed(
        "claude-haiku-4-5", input_tokens=1_000, output_tokens=10, service_tier="batch"
    )
    full, bill = landed(
        "claude-haiku-4-5",
        input_tokens=1_000,
        output_tokens=10,
        service_tier="standard",
    )
    costs = bill.costs()
    assert batch is not None
    assert costs is not None
    assert full == 2 * batch == costs.standard == costs.paid
    assert bill.full_price == 1


def test_a_long_prompt_is_priced_by_its_own_length_not_by_the_batchs() -> None:
    bill = BilledUsage(our_prices())
    for tokens in (90_000, 90_000, 110_000):
        _, one = landed("claude-haiku-5-5", input_tokens=tokens, output_tokens=0)
        for terms, counts in one.sums.items():
            bill.sums[terms] = tuple(
                a + b
                for a, b in zip(bill.sums.get(terms, (0,) * 5), counts, strict=True)
            )
    costs = bill.costs()
    assert costs is not None
    assert (
        costs.paid == (180_000 * Decimal("0.05") + 110_000 * Decimal("0.25")) / MILLION
    )


def test_an_answer_of_an_unknown_model_has_no_cost_and_makes_the_batchs_unknown() -> (
    None
):
    cost, bill = landed("claude-haiku-9", input_tokens=10, output_tokens=1)
    assert cost is None
    assert bill.costs() is None


def test_an_answer_that_names_no_model_is_priced_as_the_one_that_was_asked() -> None:
    assert (
        landed(None, input_tokens=10)[0]
        == landed("claude-haiku-4-5", input_tokens=10)[0]
    )


def test_usage_that_says_little_is_read_for_what_it_says() -> None:
    assert landed("claude-haiku-4-5")[0] == 0
    assert landed("claude-haiku-4-5", output_tokens=2, novelty=1)[0] == Decimal(
        "0.000005"
    )


def test_what_the_cache_saved_is_found_from_the_same_tokens_without_it() -> None:
    _, bill = landed(
        "claude-sonnet-5-5",
        input_tokens=5,
        cache_read_input_tokens=1_000,
        output_tokens=1,
    )
    costs = bill.costs()
    assert costs is not None
    assert costs.uncached - costs.paid == 1_000 * (1 - Decimal("0.05")) / MILLION
