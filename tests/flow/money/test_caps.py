"""Caps: refused before anything is bought, and kept under failures, retries, reruns and other runs' purchases."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import anthropic
import pytest
from tests.support.nights.shop import TARGET, Shop, books_usd, enrichment, texts

from nightbatch.errors import CapExceeded, SettingsError
from nightbatch.failpoints import watching
from nightbatch.ids import BatchId
from nightbatch.io.anthropic_sdk.batches import AnthropicBatches
from nightbatch.money import caps
from nightbatch.money.prices import VARIABLE


def bound(shop: Shop, **given: object) -> float:
    """Return the most that a run may cost, without buying anything."""
    most = shop.plan(
        shop.prepare(enrichment(target="s3://lake/dry/", **given), "dag/dry")
    ).estimate.at_most
    assert most is not None
    return float(most)


class Cut(BaseException):
    """What ends a plan as a kill would."""


def cut_at_the_second_claim() -> Callable[[str], None]:
    """Watch for the second claim."""
    points: list[str] = []

    def watch(point: str) -> None:
        points.append(point)
        if points.count("claim written") == 2:
            raise Cut

    return watch


def test_a_purchase_above_the_cap_is_refused_before_anything_is_claimed(
    shop: Shop,
) -> None:
    shop.put(texts(50))
    most = bound(shop)
    ref = shop.prepare(enrichment(max_cost_usd=most * 0.99))
    with pytest.raises(
        CapExceeded, match=r"50 requests may cost .* above max_cost_usd"
    ):
        shop.plan(ref)
    assert list(shop.ledger(ref).store.list("claims/")) == []
    assert shop.emulator.books()["batches"]["created"] == 0


def test_a_purchase_at_the_cap_is_made(shop: Shop) -> None:
    shop.put(texts(50))
    most = bound(shop)
    assert shop.night(enrichment(max_cost_usd=most))["answered"] == 50


def test_history_gives_a_better_bound_than_max_tokens(shop: Shop) -> None:
    shop.put(texts(50), "dt=1")
    most = bound(shop, partition="dt=1")
    first = shop.night(enrichment(partition="dt=1"), "dag/1")
    shop.put(texts(50, start=50), "dt=2")
    cap = 2 * first["cost_usd"]
    assert cap < most
    assert (
        shop.night(enrichment(partition="dt=2", max_cost_usd=cap), "dag/2")["answered"]
        == 50
    )


def test_what_a_run_has_spent_counts_when_lost_rows_are_asked_again(shop: Shop) -> None:
    shop.emulator.faults({"where": "row", "what": "unknown_stop"})
    shop.put(texts(50))
    cap = bound(shop, max_tokens=30)
    ref = shop.prepare(enrichment(max_cost_usd=cap, max_tokens=30, attempts=5))
    plans = shop.waves(ref)
    assert float(books_usd(shop.emulator)) <= cap
    assert plans[-1].shards == []
    assert "above max_cost_usd" in plans[-1].notes[-1]
    assert len(plans) < 5


def test_a_rerun_of_the_same_run_does_not_begin_a_new_budget(shop: Shop) -> None:
    shop.emulator.faults({"where": "row", "what": "unknown_stop"})
    shop.put(texts(50))
    cap = bound(shop, max_tokens=30)
    for _ in range(3):
        shop.waves(
            shop.prepare(enrichment(max_cost_usd=cap, max_tokens=30, attempts=5))
        )
    assert float(books_usd(shop.emulator)) <= cap


def test_what_is_in_flight_counts_as_the_most_that_it_may_cost(shop: Shop) -> None:
    shop.put(texts(50), "dt=1")
    cap = 1.5 * bound(shop, partition="dt=1")
    rules = {"max_monthly_cost_usd": cap}
    shop.plan(shop.prepare(enrichment(partition="dt=1", **rules), "dag/1"))
    shop.put(texts(50, start=50), "dt=2")
    with pytest.raises(CapExceeded, match="in flight by the target"):
        shop.plan(shop.prepare(enrichment(partition="dt=2", **rules), "dag/2"))


def test_results_that_never_came_count_as_the_most_that_they_may_have_cost(
    shop: Shop,
) -> None:
    shop.put(texts(50))
    ref = shop.prepare(enrichment(max_cost_usd=1.01 * bound(shop)))
    (planned,) = shop.plan(ref).shards
    shop.emulator.faults({"where": "results", "what": "cut_clean"})
    shop.buy(ref, planned)
    shop.emulator.clear_faults()
    (row,) = shop.costs()
    assert row["missing"] > 20
    refused = shop.plan(ref, attempt=2)
    assert refused.shards == []
    assert "above max_cost_usd" in refused.notes[-1]


def test_a_month_has_one_budget_for_all_runs_of_a_target(shop: Shop) -> None:
    shop.put(texts(40), "dt=1")
    first = shop.night(enrichment(partition="dt=1"), "dag/1")
    shop.put(texts(40, start=40), "dt=2")
    rules = {"max_monthly_cost_usd": 1.5 * first["cost_usd"]}
    with pytest.raises(CapExceeded, match="max_monthly_cost_usd"):
        shop.plan(shop.prepare(enrichment(partition="dt=2", **rules), "dag/2"))


def test_the_next_month_has_a_budget_of_its_own(shop: Shop) -> None:
    shop.put(texts(40), "dt=1")
    first = shop.night(enrichment(partition="dt=1"), "dag/1")
    shop.wait(32 * 86_400)
    shop.put(texts(40, start=40), "dt=2")
    rules = {"max_monthly_cost_usd": 1.5 * first["cost_usd"]}
    assert shop.night(enrichment(partition="dt=2", **rules), "dag/2")["answered"] == 40


def test_another_targets_purchases_are_no_part_of_the_budget(shop: Shop) -> None:
    state = "s3://lake/ledger/"
    shop.put(texts(40), "dt=1")
    first = shop.night(enrichment(partition="dt=1", state=state), "dag/1")
    shop.put(texts(40, start=40), "dt=2")
    rules = {
        "max_monthly_cost_usd": 1.5 * first["cost_usd"],
        "state": state,
        "target": "s3://lake/other/",
    }
    assert shop.night(enrichment(partition="dt=2", **rules), "dag/2")["answered"] == 40


def test_an_unknown_price_is_refused_under_a_cap_and_says_what_to_do(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.put(texts(3))
    job = enrichment(model="claude-mythos-5-2", max_cost_usd=1000)
    with pytest.raises(CapExceeded, match="NIGHTBATCH_PRICES"):
        shop.plan(shop.prepare(job))
    path = tmp_path / "prices.json"
    path.write_text(
        json.dumps({"models": {"claude-mythos-5-2": {"input": "10", "output": "50"}}})
    )
    monkeypatch.setenv(VARIABLE, str(path))
    assert shop.night(job)["answered"] == 3


def test_a_target_in_another_spelling_has_the_same_budget(shop: Shop) -> None:
    shop.put(texts(40), "dt=1")
    first = shop.night(
        enrichment(partition="dt=1", target="s3://lake/triage/"), "dag/1"
    )
    shop.put(texts(40, start=40), "dt=2")
    rules = {"max_monthly_cost_usd": 1.5 * first["cost_usd"]}
    with pytest.raises(CapExceeded, match="max_monthly_cost_usd"):
        shop.plan(
            shop.prepare(
                enrichment(partition="dt=2", target="s3://lake/triage", **rules),
                "dag/2",
            )
        )
    with pytest.raises(SettingsError, match="target"):
        shop.prepare(
            enrichment(partition="dt=2", target="s3://lake//triage/", **rules), "dag/2"
        )


def test_what_an_earlier_version_noted_without_a_slash_counts_too(shop: Shop) -> None:
    shop.put(texts(10))
    shop.night(enrichment())
    rows = [{**row, "target": "s3://lake/triage"} for row in shop.costs()]
    ref = shop.prepare(enrichment(max_monthly_cost_usd=1), "dag/2")
    ledger = shop.ledger(ref)
    (cap,) = caps.caps(ref, ledger, ledger.view(), rows, shop.now())
    assert cap.spent.paid == books_usd(shop.emulator)


class Absurd(AnthropicBatches):
    """Reads results whose answers all report a million million tokens."""

    @contextmanager
    def results(self, batch: BatchId) -> Iterator[Iterator[bytes]]:
        with super().results(batch) as chunks:
            whole = b"".join(chunks)
        yield iter(
            [re.sub(rb'"output_tokens": ?\d+', b'"output_tokens":1000000000000', whole)]
        )


def test_after_usage_that_cannot_be_the_cost_is_unknown_and_no_cap_is_kept(
    shop: Shop,
) -> None:
    shop.api = Absurd(
        anthropic.Anthropic(base_url=shop.emulator.url, api_key="sk-test")
    )
    shop.put(texts(10), "dt=1")
    assert shop.night(enrichment(partition="dt=1"))["cost_usd"] is None
    assert [(row["cost_usd"], row["unknown_usage"]) for row in shop.costs()] == [
        (None, True)
    ]
    shop.put(texts(10, start=10), "dt=2")
    with pytest.raises(CapExceeded, match="max_monthly_cost_usd=100 cannot be checked"):
        shop.plan(
            shop.prepare(
                enrichment(partition="dt=2", max_monthly_cost_usd=100), "dag/2"
            )
        )


def test_a_canary_is_not_sent_where_the_whole_purchase_breaks_the_cap(
    shop: Shop,
) -> None:
    shop.put(texts(50))
    ref = shop.prepare(enrichment(canary="new", max_cost_usd=0.5 * bound(shop)))
    with pytest.raises(CapExceeded, match="50 requests may cost"):
        shop.plan(ref, attempt=0)
    assert shop.emulator.books()["batches"]["created"] == 0


def test_what_the_canary_cost_counts_against_the_cap_of_its_run(shop: Shop) -> None:
    shop.put(texts(50))
    cap = bound(shop)
    ref = shop.prepare(enrichment(canary="new", max_cost_usd=cap))
    shop.waves(ref, first=0)
    assert shop.publish(ref)["answered"] == 50
    assert float(books_usd(shop.emulator)) <= cap


def test_asking_anew_every_night_counts_against_the_month_each_time(shop: Shop) -> None:
    shop.put(texts(40))
    first = shop.night(enrichment(reuse=False), "dag/1")
    rules = {"reuse": False, "max_monthly_cost_usd": 2.5 * first["cost_usd"]}
    assert shop.night(enrichment(**rules), "dag/2")["answered"] == 40
    with pytest.raises(CapExceeded, match="max_monthly_cost_usd"):
        shop.plan(shop.prepare(enrichment(**rules), "dag/3"))


def test_a_refusal_says_that_its_figures_are_estimates(shop: Shop) -> None:
    shop.put(texts(5))
    with pytest.raises(
        CapExceeded, match=r", as an estimate \(.* and an estimate of at most"
    ):
        shop.plan(shop.prepare(enrichment(max_cost_usd=0)))


def test_rows_that_are_answered_already_need_no_budget(shop: Shop) -> None:
    shop.put(texts(10))
    shop.night(enrichment(), "dag/1")
    assert shop.night(enrichment(max_cost_usd=0), "dag/2")["reused"] == 10
    assert {row["target"] for row in shop.costs()} == {TARGET}


def test_two_runs_that_plan_at_once_share_what_is_left_of_the_month(shop: Shop) -> None:
    for night in (1, 2):
        shop.put(texts(50, start=50 * night), f"dt={night}")
    cap = 1.5 * bound(shop, partition="dt=1")
    refs = [
        shop.prepare(
            enrichment(partition=f"dt={n}", max_monthly_cost_usd=cap), f"dag/{n}"
        )
        for n in (1, 2)
    ]
    with ThreadPoolExecutor(2) as pool:
        outcomes = [
            planning.exception()
            for planning in [pool.submit(shop.plan, ref) for ref in refs]
        ]
    assert sorted(map(type, outcomes), key=str) == [type(None), CapExceeded]


def test_a_plan_that_was_cut_short_goes_on_within_the_same_budget(shop: Shop) -> None:
    shop.put(texts(50))
    cap = bound(shop, max_batch_requests=10)
    ref = shop.prepare(enrichment(max_batch_requests=10, max_cost_usd=cap))
    with pytest.raises(Cut), watching(cut_at_the_second_claim()):
        shop.plan(ref)
    assert len(shop.ledger(ref).view().claimed) == 2
    shop.wait(600)
    assert sum(planned.requests for planned in shop.plan(ref).shards) == 50
