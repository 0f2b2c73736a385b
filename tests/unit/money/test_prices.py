"""The price table, as the seed guide prints it, and how it is read, dated and overridden."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.support.oracles import cost

from nightbatch.errors import SettingsError
from nightbatch.messages.usage import TokenUsage
from nightbatch.money.prices import VARIABLE, Prices, Rates, our_prices, prices

# US dollars a million tokens: standard in, out; batch in, out; batch cache write 5 m, 1 h, read.
GUIDE = {
    "claude-opus-5-5": "4 20 2 10 2.5 4 0.10",
    **dict.fromkeys(
        (
            "claude-opus-5",
            "claude-opus-4-8",
            "claude-opus-4-7",
            "claude-opus-4-6",
            "claude-opus-4-5",
        ),
        "5 25 2.5 12.5 3.125 5 0.25",
    ),
    "claude-sonnet-5-5": "2 10 1 5 1.25 2 0.05",
    "claude-sonnet-5": "2 10 1 5 1.25 2 0.10",
    **dict.fromkeys(
        ("claude-sonnet-4-6", "claude-sonnet-4-5"), "3 15 1.5 7.5 1.875 3 0.15"
    ),
    "claude-haiku-5-5": "0.10 0.50 0.05 0.25 0.0625 0.10 0.005",
    "claude-haiku-4-5": "1 5 0.5 2.5 0.625 1 0.05",
    **dict.fromkeys(
        ("claude-fable-5-1", "claude-mythos-5-1"), "10 50 5 25 6.25 10 0.125"
    ),
    **dict.fromkeys(("claude-fable-5", "claude-mythos-5"), "10 50 5 25 6.25 10 0.5"),
    "claude-fable-5-2": "8 40 4 20 5 8 0.10",
}
LONG_HAIKU = "0.50 2.50 0.25 1.25 0.3125 0.50 0.025"
MINIMA = {
    512: "claude-opus-5 claude-opus-5-5 claude-fable-5-1 claude-sonnet-5-5 claude-haiku-5-5",
    1024: "claude-opus-4-8 claude-sonnet-5 claude-sonnet-4-6 claude-sonnet-4-5",
    2048: "claude-opus-4-7",
    4096: "claude-opus-4-6 claude-opus-4-5 claude-haiku-4-5",
}
MILLION = 1_000_000


def printed(given: Prices, model: str, prompt: int = 0) -> list[Decimal]:
    """Put a model's rates in the order of the guide's columns."""
    standard, batch = (
        given.rates(model, prompt=prompt, batch=False),
        given.rates(model, prompt=prompt),
    )
    assert standard is not None
    assert batch is not None
    row = Rates(*(rate * MILLION for rate in batch))
    return [
        standard.input * MILLION,
        standard.output * MILLION,
        row.input,
        row.output,
        *row[1:4],
    ]


@pytest.mark.parametrize("model", GUIDE)
def test_the_guides_table_is_reproduced(model: str) -> None:
    assert printed(our_prices(), model) == [
        Decimal(cell) for cell in GUIDE[model].split()
    ]


def test_no_other_model_has_a_price() -> None:
    assert set(our_prices().table["models"]) == set(GUIDE)


@pytest.mark.parametrize("model", ["claude-mythos-5-2", "claude-mythos-preview"])
def test_models_whose_price_nobody_has_published_have_none(model: str) -> None:
    assert our_prices().rates(model) is None


def test_a_price_that_third_parties_quote_says_so() -> None:
    assert our_prices().doubt("claude-fable-5-1") is None
    assert "third parties" in (our_prices().doubt("claude-fable-5-2") or "")


@pytest.mark.parametrize(
    "name", ["server_tools", "cache_minimum_tokens", "context_tokens"]
)
def test_tables_by_name_are_laid_over_ours_by_name(name: str) -> None:
    own: dict[str, Any] = {
        "server_tools": {
            "web_search": {
                "usd_per_1000": "10",
                "source": "my contract",
                "as_of": "2026-12-01",
            }
        },
        "cache_minimum_tokens": {"mine": 7},
        "context_tokens": {"mine": 7},
    }
    assert our_prices().merged_with({name: own[name]}).table[name] == {
        **our_prices().table[name],
        **own[name],
    }


def test_a_server_tool_costs_nothing_known_until_its_price_is_given() -> None:
    priced = our_prices().merged_with(
        {
            "server_tools": {
                "web_search": {
                    "usd_per_1000": "10",
                    "source": "my contract",
                    "as_of": "2026-12-01",
                }
            }
        }
    )
    assert our_prices().tool_price("web_search") is None
    assert priced.tool_price("web_search") == Decimal("0.01")
    assert priced.tool_price("web_fetch") is None


def test_a_prompt_above_100k_tokens_lifts_the_price_of_all_its_tokens() -> None:
    assert printed(our_prices(), "claude-haiku-5-5", prompt=100_001) == [
        Decimal(cell) for cell in LONG_HAIKU.split()
    ]
    assert printed(our_prices(), "claude-haiku-5-5", prompt=100_000) == printed(
        our_prices(), "claude-haiku-5-5"
    )


def test_cached_tokens_count_for_the_length_of_a_prompt() -> None:
    usage = TokenUsage(input=1_000, cache_read=100_000, output=10)
    expected = (
        1_000 * Decimal("0.25") + 100_000 * Decimal("0.025") + 10 * Decimal("1.25")
    ) / MILLION
    assert cost(our_prices(), "claude-haiku-5-5", usage) == expected


@pytest.mark.parametrize("least", MINIMA)
def test_the_guides_cache_minima_are_reproduced(least: int) -> None:
    assert {our_prices().cache_minimum(model) for model in MINIMA[least].split()} == {
        least
    }


@pytest.mark.parametrize(
    "dated", ["claude-haiku-4-5-20251001", "claude-haiku-4-5-latest"]
)
def test_a_dated_id_has_the_price_of_its_model(dated: str) -> None:
    assert our_prices().rates(dated) == our_prices().rates("claude-haiku-4-5")


def test_an_unknown_model_has_an_unknown_price_not_none_at_all() -> None:
    assert cost(our_prices(), "claude-haiku-9", TokenUsage(input=1)) is None


def test_inference_in_the_us_costs_a_tenth_more() -> None:
    usage: dict[str, Any] = {
        "input": 1_000,
        "cache_write_5m": 10,
        "cache_write_1h": 20,
        "cache_read": 3_000,
        "output": 400,
    }
    anywhere, us = (
        cost(our_prices(), "claude-opus-5-5", TokenUsage(**usage, inference_geo=geo))
        for geo in ("global", "us")
    )
    assert anywhere is not None
    assert us == anywhere * Decimal("1.1")


def test_only_the_batch_tier_has_the_batch_price() -> None:
    batch, standard = (
        cost(our_prices(), "claude-opus-5", TokenUsage(input=7, service_tier=t))
        for t in ("batch", "standard")
    )
    assert batch is not None
    assert standard == 2 * batch


def test_the_table_says_from_where_and_from_when_it_is_and_when_it_is_too_old() -> None:
    assert our_prices().source.startswith("https://")
    taken = date.fromisoformat(our_prices().as_of)
    assert our_prices().age_warning(date.fromordinal(taken.toordinal() + 90)) is None
    assert "91 days ago" in (
        our_prices().age_warning(date.fromordinal(taken.toordinal() + 91)) or ""
    )


def test_a_users_file_is_laid_over_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {
        "as_of": "2026-12-24",
        "models": {
            "claude-haiku-4-5": {"input": "0.8", "output": "4"},
            "mine": {"input": "1", "output": "2"},
        },
    }
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(own))
    monkeypatch.setenv(VARIABLE, str(path))
    assert cost(prices(), "mine", TokenUsage(input=MILLION)) == Decimal("0.5")
    assert cost(prices(), "claude-haiku-4-5", TokenUsage(output=MILLION)) == 2
    assert prices().rates("claude-opus-5") == our_prices().rates("claude-opus-5")
    assert prices().as_of == "2026-12-24"


@pytest.mark.parametrize("limit", [1_000, "1000"])
def test_a_users_long_prompts_may_have_another_price(
    limit: int | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    above = {"prompt_tokens": limit, "input": "4", "output": "8"}
    own = {"models": {"mine": {"input": "1", "output": "2", "above": above}}}
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(own))
    monkeypatch.setenv(VARIABLE, str(path))
    assert cost(prices(), "mine", TokenUsage(input=1_000)) == Decimal("0.0005")
    assert cost(prices(), "mine", TokenUsage(input=1_001)) == Decimal("0.002002")


@pytest.mark.parametrize(
    "content",
    [
        '{"models": []}',
        '{"server_tools": {"web_search": {"usd_per_1000": "10"}}}',
        '{"server_tools": {"telepathy": {"usd_per_1000": "10", "source": "me", "as_of": "2026-12-01"}}}',
        "no json",
        "[]",
        '{"as_of": "soon"}',
        '{"models": {"m": {"input": 0.1, "output": "1"}}}',
        '{"batch": "0"}',
        '{"models": {"m": {"input": "1", "output": "2", "above": {"prompt_tokens": 0, "input": "2", "output": "3"}}}}',
        '{"models": {"m": {"input": "1", "output": "2", "above": {"prompt_tokens": -1, "input": "2", "output": "3"}}}}',
    ],
)
def test_an_unreadable_file_is_told_and_never_half_used(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prices.json"
    path.write_text(content)
    monkeypatch.setenv(VARIABLE, str(path))
    with pytest.raises(SettingsError):
        prices()
