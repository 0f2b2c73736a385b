"""The bill: what the target's rows cost, what the report says and what the emulator's books say are one number."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.support.nights.shop import (
    MODEL,
    SOURCE,
    TARGET,
    Shop,
    books_usd,
    column_sum,
    enrichment,
    texts,
)

from nightbatch import Prompt
from nightbatch.ledger import keys
from nightbatch.money.cost_table import complete

LONG_SYSTEM = "Answer in one sentence, as a clerk of the billing desk would. " * 300
OUTCOMES = ("answered", "refused", "truncated", "rejected", "lost")


def agree(shop: Shop, *reports: dict[str, Any], us: bool = False) -> Decimal:
    """Check that target, reports, cost table and books tell one sum; return it."""
    books = books_usd(shop.emulator, us=us)
    assert shop.target_cost() == books.quantize(Decimal("1e-9"))
    assert sum((row["cost_usd"] for row in shop.costs()), Decimal(0)) == books
    assert sum(report["cost_usd"] for report in reports) == pytest.approx(
        float(books), abs=1e-6
    )
    return books


def test_a_second_night_buys_exactly_the_fifth_that_changed(shop: Shop) -> None:
    rows = {f"T-{n}": text for n, text in enumerate(texts(100))}
    shop.put(rows, "dt=1")
    first = shop.night(enrichment(partition="dt=1"), "dag/1")
    changed = {name: f"{body}, still" for name, body in list(rows.items())[::5]}
    shop.put(rows | changed, "dt=2")
    second = shop.night(enrichment(partition="dt=2"), "dag/2")
    assert (first["requests"], first["bought"], first["reused"]) == (100, 100, 0)
    assert (second["requests"], second["bought"], second["reused"]) == (100, 20, 80)
    assert shop.emulator.books()["bought"]["requests"] == 120
    agree(shop, first, second)


def test_reuse_saves_what_the_reused_requests_did_cost(shop: Shop) -> None:
    shop.put(texts(30), "dt=1")
    first = shop.night(enrichment(partition="dt=1"), "dag/1")
    shop.put(texts(40), "dt=2")
    second = shop.night(enrichment(partition="dt=2"), "dag/2")
    assert first["saved_usd"]["reuse"] == 0
    assert second["saved_usd"]["reuse"] == first["cost_usd"]
    agree(shop, first, second)


def test_duplicates_are_bought_once_and_save_what_each_would_have_cost(
    shop: Shop,
) -> None:
    shop.put(["the same text"] * 7)
    report = shop.night(enrichment())
    assert (report["rows"], report["requests"], report["bought"]) == (7, 1, 1)
    assert report["saved_usd"]["duplicates"] == pytest.approx(
        6 * report["cost_usd"], abs=1e-6
    )
    costs = shop.published()["_cost_usd"].to_pylist()
    assert costs == [pytest.approx(report["cost_usd"], abs=1e-6), 0, 0, 0, 0, 0, 0]
    agree(shop, report)


def test_a_batch_saves_as_much_as_it_costs(shop: Shop) -> None:
    shop.put(texts(20))
    report = shop.night(enrichment())
    assert report["saved_usd"]["batch"] == report["cost_usd"]
    assert report["saved_usd"]["cache"] == 0


def test_attempts_that_are_lost_but_billed_are_on_the_bill(shop: Shop) -> None:
    shop.emulator.faults({"where": "row", "what": "unknown_stop", "count": 20})
    shop.put(texts(40))
    report = shop.night(enrichment())
    assert report["answered"] == 40
    assert [(wave["attempt"], wave["requests"]) for wave in report["by_attempt"]] == [
        (1, 40),
        (2, 20),
    ]
    assert shop.emulator.books()["bought"]["requests"] == 60
    assert sum(wave["cost_usd"] for wave in report["by_attempt"]) == pytest.approx(
        report["cost_usd"], abs=2e-6
    )
    agree(shop, report)


def test_a_rerun_costs_nothing_and_the_target_keeps_its_bill(shop: Shop) -> None:
    shop.put(texts(25))
    first = shop.night(enrichment(), "dag/1")
    again = shop.night(enrichment(), "dag/2")
    assert (
        again["bought"],
        again["reused"],
        again["cost_usd"],
        again["estimated_usd"],
    ) == (0, 25, 0, 0)
    agree(shop, first, again)


def test_late_rows_are_the_only_ones_bought(shop: Shop) -> None:
    shop.put(texts(25))
    first = shop.night(enrichment(), "dag/1")
    shop.put(texts(30))
    late = shop.night(enrichment(), "dag/2")
    assert (late["bought"], late["reused"]) == (5, 25)
    agree(shop, first, late)


def test_what_was_paid_for_rows_that_have_changed_since_stays_on_the_bill(
    shop: Shop,
) -> None:
    shop.put(texts(10))
    first = shop.night(enrichment(), "dag/1")
    costs_before = shop.published()["_cost_usd"].to_pylist()
    shop.put([*texts(8), "another ninth", "another tenth"])
    second = shop.night(enrichment(), "dag/2")
    costs = shop.published()["_cost_usd"].to_pylist()
    assert second["bought"] == 2
    assert costs[:8] == costs_before[:8]
    assert second["other_cost_usd"] == pytest.approx(sum(costs_before[8:]))
    agree(shop, first, second)


def test_a_changed_prompt_leaves_no_row_with_what_the_first_one_cost(
    shop: Shop,
) -> None:
    shop.put(texts(10))
    first = shop.night(enrichment(), "dag/1")
    shop.put(texts(10))
    second = shop.night(enrichment(prompt=Prompt(user="Anew: {{ body }}")), "dag/2")
    costs = shop.published()["_cost_usd"].to_pylist()
    assert first["other_cost_usd"] == 0
    assert second["other_cost_usd"] == pytest.approx(first["cost_usd"], abs=1e-6)
    assert sum(costs) == pytest.approx(second["cost_usd"], abs=1e-6)
    assert max(costs) < sum(costs) / 2
    agree(shop, first, second)


def test_a_failed_run_is_on_the_bill_of_the_run_that_publishes(shop: Shop) -> None:
    shop.put(texts(12))
    failed = shop.prepare(enrichment(), "dag/1")
    shop.waves(failed)
    report = shop.night(enrichment(), "dag/2")
    assert report["cost_usd"] == 0
    assert (
        column_sum(shop.published())
        == books_usd(shop.emulator).quantize(Decimal("1e-9"))
        > 0
    )


def test_asking_anew_uses_and_pays_only_its_own_answers(shop: Shop) -> None:
    shop.put(texts(10))
    first = shop.night(enrichment(), "dag/1")
    anew = shop.prepare(enrichment(reuse=False), "dag/2")
    plans = shop.waves(anew)
    report = shop.publish(anew)
    assert (report["bought"], report["reused"], report["saved_usd"]["reuse"]) == (
        10,
        0,
        0,
    )
    assert any(
        "10 of 10 requests have been answered before" in note for note in plans[0].notes
    )
    batches = {row["batch_id"] for row in shop.costs() if row["run"] == "dag/2"}
    assert set(shop.published()["_batch_id"].to_pylist()) == batches
    assert shop.emulator.books()["bought"]["twice_across_batches"] == 10
    agree(shop, first, report)


def test_two_targets_that_share_a_state_share_answers_and_split_the_bill(
    shop: Shop,
) -> None:
    state = "s3://lake/ledger/"
    shop.put(texts(10))
    one = shop.night(enrichment(state=state), "dag/1")
    other = shop.night(enrichment(state=state, target="s3://lake/other/"), "dag/2")
    assert (one["bought"], other["bought"], other["reused"]) == (10, 0, 10)
    assert column_sum(shop.published()) == books_usd(shop.emulator).quantize(
        Decimal("1e-9")
    )
    assert column_sum(shop.published("s3://lake/other/")) == 0


def test_the_cache_is_on_the_bill_token_by_token(shop: Shop) -> None:
    shop.put(texts(60))
    report = shop.night(
        enrichment(prompt=Prompt(user="{{ body }}", system=LONG_SYSTEM))
    )
    tokens = report["tokens"]
    assert tokens["cache_read"] > 0
    assert tokens["cache_write_1h"] > 0
    price = Decimal("0.5") / 1_000_000
    saved = price * (tokens["cache_read"] * Decimal("0.9") - tokens["cache_write_1h"])
    assert report["saved_usd"]["cache"] == pytest.approx(float(saved), abs=1e-6)
    assert report["cache_hit_rate"] == tokens["cache_read"] / (
        tokens["cache_read"] + tokens["cache_write_1h"]
    )
    agree(shop, report)


def test_inference_in_the_us_is_billed_as_such(shop: Shop) -> None:
    shop.put(texts(10))
    report = shop.night(enrichment(params={"inference_geo": "us"}))
    agree(shop, report, us=True)


def test_an_unknown_price_is_told_and_never_counted_as_nothing(shop: Shop) -> None:
    shop.put(texts(3))
    report = shop.night(enrichment(model="claude-mythos-5-2"))
    assert report["answered"] == 3
    assert (
        report["cost_usd"],
        report["estimated_usd"],
        report["saved_usd"]["batch"],
    ) == (None, None, None)
    assert any("not known" in note for note in report["warnings"])
    assert shop.published()["_cost_usd"].null_count == 3


def test_results_that_never_came_are_warned_of(shop: Shop) -> None:
    shop.put(texts(20))
    ref = shop.prepare(enrichment())
    (planned,) = shop.plan(ref).shards
    shop.emulator.faults({"where": "results", "what": "cut_clean"})
    shop.buy(ref, planned)
    shop.emulator.clear_faults()
    shop.waves(ref, first=2)
    report = shop.publish(ref)
    assert report["answered"] == 20
    assert "had no result in their batches" in report["warnings"][0]


def test_the_report_has_every_figure_that_is_promised(shop: Shop) -> None:
    shop.put(texts(3))
    report = shop.night(enrichment())
    promised = "rows requests reused bought answered by_status batches tokens cost_usd estimated_usd saved_usd seconds"
    assert set(promised.split()) <= set(report)
    assert set(report["saved_usd"]) == {"batch", "cache", "reuse", "duplicates"}


def test_every_batch_has_one_row_in_the_cost_table(shop: Shop) -> None:
    shop.put(texts(25))
    shop.night(enrichment(max_batch_requests=10))
    rows = shop.costs()
    assert [row["requests"] for row in rows] == [10, 10, 5]
    assert all(sum(row[name] for name in OUTCOMES) == row["requests"] for row in rows)
    assert {
        (row["model"], row["target"], row["run"], row["attempt"]) for row in rows
    } == {(MODEL, TARGET, "dag/night-1", 1)}


def test_a_row_that_a_crash_kept_from_the_cost_table_is_written_by_the_next_plan(
    shop: Shop,
) -> None:
    shop.put(texts(5))
    shop.night(enrichment())
    (before,) = shop.costs()
    ref = shop.prepare(enrichment())
    ledger = shop.ledger(ref)
    ledger.store.remove([entry.key for entry in ledger.store.list(keys.COSTS)])
    complete(ledger, ledger.view().landed)
    assert shop.costs() == [before]


def test_the_source_holds_no_prompt_in_the_cost_table(shop: Shop) -> None:
    shop.put(["a secret word"])
    shop.night(enrichment())
    assert not any(
        "secret" in str(value) for row in shop.costs() for value in row.values()
    )
    assert SOURCE not in str(shop.costs())
