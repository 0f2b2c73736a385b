"""The estimate: expected and at most, before anything is claimed, and how it was found."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from tests.support.nights.shop import Shop, books_usd, enrichment, texts

from nightbatch import Prompt
from nightbatch.money import estimate
from nightbatch.money.estimate import AnswerLength, Cached, Estimator, PastUsage
from nightbatch.money.prices import our_prices
from nightbatch.money.prompt_tokens import Prompts, Sizes

SYSTEM = "Answer in one sentence, as a clerk of the billing desk would. " * 300
MILLION = 1_000_000


def estimator(
    model: str = "claude-haiku-4-5", *, cached: Cached | None = None
) -> Estimator:
    """Make one that knows all: 100 tokens for the frame, one for four bytes, ten for an answer and at most twenty."""
    prompts, answers = (
        Prompts(100, 0.25, 100, 0.25, "known"),
        AnswerLength(10, 20, "known"),
    )
    return Estimator(our_prices(), model, False, prompts, answers, cached or Cached())


def test_tokens_times_price() -> None:
    made = estimator().estimate(Sizes(np.array([400, 800])))
    assert (made.requests, made.input_tokens, made.output_tokens) == (2, 500, 20)
    assert made.expected == (500 * Decimal("0.5") + 20 * Decimal("2.5")) / MILLION
    assert made.at_most == (500 * Decimal("0.5") + 40 * Decimal("2.5")) / MILLION


def test_the_parts_of_an_estimate_add_up_to_the_whole() -> None:
    sizes = np.arange(1, 1_000) * 4
    whole = estimator().estimate(Sizes(sizes))
    parts = [estimator().estimate(Sizes(part)) for part in np.array_split(sizes, 7)]
    assert whole.expected == sum(part.expected or 0 for part in parts)


def test_long_prompts_have_their_own_price() -> None:
    made = estimator("claude-haiku-5-5").estimate(Sizes(np.array([400, 4 * 200_000])))
    short, long = (
        200 * Decimal("0.05") + 10 * Decimal("0.25"),
        200_100 * Decimal("0.25") + 10 * Decimal("1.25"),
    )
    assert made.expected == (short + long) / MILLION


def test_a_cached_prefix_is_mostly_read_and_at_most_written() -> None:
    made = estimator(cached=Cached(100, 0.75, "known")).estimate(
        Sizes(np.array([0] * 4))
    )
    answers = Decimal(40) * Decimal("2.5")
    assert made.expected == (300 * Decimal("0.05") + 100 * 1 + answers) / MILLION
    assert made.at_most == (400 * 1 + 2 * answers) / MILLION


def test_an_unknown_model_has_no_estimate() -> None:
    made = estimator("claude-haiku-9").estimate(Sizes(np.array([400])))
    assert (made.expected, made.at_most) == (None, None)
    assert "unknown expected" in made.summary


def test_without_history_max_tokens_is_the_bound() -> None:
    found = estimate.answer_length(PastUsage(), 300)
    assert (found.mean, found.most) == (300, 300)
    assert "max_tokens 300" in found.how


def test_few_answers_tell_the_mean_and_many_also_the_bound() -> None:
    few, many = (
        estimate.answer_length(PastUsage(answers=n, output=50 * n, longest=80), 300)
        for n in (5, 100)
    )
    assert (few.mean, few.most) == (50, 300)
    assert (many.mean, many.most) == (50, 80)
    assert "history of 100 answers" in many.how


def test_prompts_are_counted_by_a_sample_where_the_api_can_be_reached(
    shop: Shop,
) -> None:
    shop.put(texts(200))
    ref = shop.prepare(enrichment())
    made = shop.plan(ref).estimate
    assert "count_tokens sample of 19" in made.how
    (planned,) = shop.plan(ref).shards
    shop.buy(ref, planned)
    assert made.input_tokens == pytest.approx(shop.costs()[0]["input_tokens"], rel=0.02)


def test_prompts_are_guessed_by_length_where_it_cannot(shop: Shop) -> None:
    shop.emulator.faults({"where": "count_tokens", "what": "overloaded"})
    shop.put(texts(50))
    assert (
        "length, 3.5 bytes a token"
        in shop.plan(shop.prepare(enrichment())).estimate.how
    )


def test_counting_is_bounded(shop: Shop) -> None:
    shop.put(texts(200))
    shop.plan(shop.prepare(enrichment()))
    calls = shop.emulator.books()["calls"]
    assert sum(count for name, count in _counts(calls, "count_tokens")) <= 20


def _counts(calls: object, name: str) -> list[tuple[str, int]]:
    """Find the counts of one endpoint in the books' table of calls."""
    assert isinstance(calls, dict)
    return (
        [
            (
                "",
                sum(calls[name].values())
                if isinstance(calls[name], dict)
                else calls[name],
            )
        ]
        if name in calls
        else []
    )


def test_nothing_is_estimated_or_counted_where_nothing_is_to_buy(shop: Shop) -> None:
    shop.put(texts(5))
    shop.night(enrichment())
    before = shop.emulator.books()["calls"]
    again = shop.plan(shop.prepare(enrichment(), "dag/2"))
    assert (again.pending, again.estimate.expected, again.notes) == (0, 0, ())
    assert shop.emulator.books()["calls"] == before


def test_the_second_night_is_estimated_from_the_first_within_a_few_percent(
    shop: Shop,
) -> None:
    shop.put(texts(150), "dt=1")
    shop.night(enrichment(partition="dt=1"), "dag/1")
    before = books_usd(shop.emulator)
    shop.put(texts(150, start=150), "dt=2")
    report = shop.night(enrichment(partition="dt=2"), "dag/2")
    paid = float(books_usd(shop.emulator) - before)
    assert report["estimated_usd"] == pytest.approx(paid, rel=0.05)
    assert paid <= report["at_most_usd"]
    assert "history of 150 answers" in report["estimated_how"][0]


def test_the_bound_holds_where_every_answer_is_cut_at_max_tokens(shop: Shop) -> None:
    shop.put(texts(80))
    shop.waves(
        shop.prepare(enrichment(max_tokens=5, prompt=Prompt("{{ body }}", SYSTEM)))
    )
    (row,) = shop.costs()
    assert row["truncated"] == 80
    assert row["cost_usd"] <= row["at_most_usd"]


def test_the_cache_is_estimated_as_it_was_before(shop: Shop) -> None:
    job = {"prompt": Prompt(user="{{ body }}", system=SYSTEM)}
    shop.put(texts(60), "dt=1")
    first = shop.night(enrichment(partition="dt=1", **job), "dag/1")
    shop.put(texts(60, start=60), "dt=2")
    plan = shop.plan(shop.prepare(enrichment(partition="dt=2", **job), "dag/2"))
    assert (
        f"{first['cache_hit_rate']:.0%} of them read (as before)" in plan.estimate.how
    )


def test_after_a_canary_the_rest_is_estimated_from_its_answers_and_with_a_warm_cache(
    shop: Shop,
) -> None:
    shop.put(texts(60))
    ref = shop.prepare(
        enrichment(prompt=Prompt(user="{{ body }}", system=SYSTEM), canary="new")
    )
    (planned,) = shop.plan(ref, attempt=0).shards
    shop.buy(ref, planned)
    rest = shop.plan(ref, attempt=1)
    assert "the canary's 3 answers" in rest.estimate.how
    assert "90% of them read (assumed)" in rest.estimate.how
