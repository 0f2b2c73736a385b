"""The prompt cache: when the shared part is marked, when it is filled ahead, and what the report says of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.support.nights.shop import Shop, books_usd, column_sum, enrichment, texts

from nightbatch import Prompt
from nightbatch.money import cache
from nightbatch.money.prices import our_prices

LONG = "Answer in one sentence, as a clerk of the billing desk would. " * 300
OPUS = "claude-opus-5"


def job(**given: Any) -> dict[str, Any]:
    """Describe a job whose shared part is long, and dear enough to be filled ahead for sixty rows."""
    return {"prompt": Prompt(user="{{ body }}", system=LONG), "model": OPUS, **given}


def notes(shop: Shop, **given: Any) -> str:
    """Return what the first plan tells."""
    shop.put(texts(3))
    return " ".join(shop.plan(shop.prepare(enrichment(**given))).notes)


def test_a_long_shared_part_is_marked_for_an_hour_and_the_identity_is_not_touched(
    shop: Shop,
) -> None:
    shop.put(texts(1))
    marked = shop.prepare(enrichment(prompt=Prompt(user="{{ body }}", system=LONG)))
    frame = shop.ledger(marked).run(marked.snapshot).frame
    (block,) = frame.params(b'"x"')["system"]
    assert block["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert b"cache_control" not in frame.identity


@pytest.mark.parametrize(
    ("model", "marked"), [("claude-opus-5", True), ("claude-opus-4-7", False)]
)
def test_each_model_has_its_own_least_length(model: str, marked: bool) -> None:
    assert cache.long_enough(our_prices(), model, "x" * 4 * 1_500) is marked


def test_a_part_that_is_just_too_short_is_warned_of(shop: Shop) -> None:
    assert "caches from 4,096 on" in notes(
        shop, prompt=Prompt(user="{{ body }}", system="x" * 4 * 3_000)
    )


def test_a_part_that_is_far_too_short_is_not(shop: Shop) -> None:
    assert notes(shop, prompt=Prompt(user="{{ body }}", system="x" * 4 * 1_000)) == ""


def test_reading_must_come_to_just_over_half_for_an_hours_entry_to_pay() -> None:
    assert cache.break_even(our_prices(), "claude-haiku-4-5") == pytest.approx(1 / 1.9)


def test_filling_ahead_pays_from_so_many_requests_on() -> None:
    saved = (
        Decimal(cache.HITS_WARM - cache.HITS_COLD)
        * 5_000
        * (5 - Decimal("0.25"))
        / 1_000_000
    )
    enough = int(Decimal("0.50") / saved) + 2
    assert cache.priming_pays(our_prices(), OPUS, 5_000, enough)
    assert not cache.priming_pays(our_prices(), OPUS, 5_000, enough - 2)
    assert not cache.priming_pays(our_prices(), "claude-haiku-9", 5_000, 10**6)


def test_a_big_purchase_sends_one_request_ahead_and_all_others_read(shop: Shop) -> None:
    shop.put(texts(60))
    ref = shop.prepare(enrichment(**job()))
    plans = shop.waves(ref, first=0)
    report = shop.publish(ref)
    assert [[planned.requests for planned in plan.shards] for plan in plans[:2]] == [
        [1],
        [59],
    ]
    assert report["cache_hit_rate"] == pytest.approx(59 / 60)
    assert report["warnings"] == []
    assert column_sum(shop.published()) == books_usd(shop.emulator).quantize(
        Decimal("1e-9")
    )


def test_a_canary_fills_it_too_and_then_nothing_else_goes_ahead(shop: Shop) -> None:
    shop.put(texts(60))
    ref = shop.prepare(enrichment(**job(canary="new")))
    plans = shop.waves(ref, first=0)
    assert [[planned.requests for planned in plan.shards] for plan in plans[:2]] == [
        [3],
        [57],
    ]
    assert shop.publish(ref)["cache_hit_rate"] >= 57 / 60


def test_a_small_purchase_goes_at_once(shop: Shop) -> None:
    shop.put(texts(20))
    plans = shop.waves(shop.prepare(enrichment(**job())), first=0)
    assert [[planned.requests for planned in plan.shards] for plan in plans[:2]] == [
        [],
        [20],
    ]


def test_a_cap_is_held_against_the_whole_purchase_before_the_first_request_goes_ahead(
    shop: Shop,
) -> None:
    shop.put(texts(60))
    with pytest.raises(Exception, match="60 requests may cost"):
        shop.plan(shop.prepare(enrichment(**job(max_cost_usd=0.5))), attempt=0)
    assert shop.emulator.books()["batches"]["created"] == 0


def test_a_poor_rate_of_reads_is_warned_of(shop: Shop) -> None:
    shop.put(texts(1))
    report = shop.night(enrichment(**job()))
    assert report["cache_hit_rate"] == 0
    assert report["saved_usd"]["cache"] < 0
    assert "below 53% it costs more than it saves" in report["warnings"][0]
