"""Usage: tokens that grow with the text, and a cache that is written before it is read."""

import pytest

from nightbatch.emulator.settings import BatchDuration, Settings

PREFIX = "Some instructions that all requests share. " * 500  # about 5,400 tokens
SHORT = "Some instructions that all requests share. " * 50  # about 540 tokens


def system(text=PREFIX, ttl="1h"):
    return [
        {
            "type": "text",
            "text": text,
            "cache_control": {"type": "ephemeral", "ttl": ttl},
        }
    ]


def usage(result):
    return result["message"]["usage"]


def prompt_tokens(used):
    return (
        used["input_tokens"]
        + used["cache_creation_input_tokens"]
        + used["cache_read_input_tokens"]
    )


def test_usage_has_every_figure_and_says_that_it_was_a_batch(desk):
    used = usage(desk.ask())
    assert used["service_tier"] == "batch"
    assert used["cache_creation"] == {
        "ephemeral_5m_input_tokens": 0,
        "ephemeral_1h_input_tokens": 0,
    }
    assert {
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "inference_geo",
    } <= set(used)


def test_tokens_grow_with_the_text(desk):
    small, large = usage(desk.ask("word " * 10)), usage(desk.ask("word " * 1_000))
    assert large["input_tokens"] > 50 * small["input_tokens"] / 3


def test_what_is_not_latin_takes_more_tokens(desk):
    latin, han = usage(desk.ask("a" * 100)), usage(desk.ask("字" * 100))
    assert han["input_tokens"] > 3 * latin["input_tokens"]


def test_a_schema_costs_tokens_too(desk):
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "description": "x" * 400}},
        "required": ["a"],
    }
    form = {
        "format": {
            "type": "json_schema",
            "schema": schema | {"additionalProperties": False},
        }
    }
    assert (
        usage(desk.ask(output_config=form))["input_tokens"]
        > usage(desk.ask())["input_tokens"] + 100
    )


@pytest.mark.parametrize(
    ("ttl", "field"),
    [("5m", "ephemeral_5m_input_tokens"), ("1h", "ephemeral_1h_input_tokens")],
)
def test_the_first_answer_writes_the_prefix_and_the_next_batch_reads_it(
    desk, ttl, field
):
    first = usage(desk.ask("one", system=system(ttl=ttl)))
    assert (
        first["cache_creation"][field] == first["cache_creation_input_tokens"] > 5_000
    )
    assert first["cache_read_input_tokens"] == 0
    second = usage(desk.ask("two", system=system(ttl=ttl)))
    assert second["cache_read_input_tokens"] == first["cache_creation_input_tokens"]
    assert second["cache_creation_input_tokens"] == 0
    assert prompt_tokens(first) == prompt_tokens(second)


def test_a_cold_batch_misses_a_lot_because_an_entry_is_readable_only_once_its_answer_has_begun(
    desk,
):
    results = desk.run(desk.items(100, system=system()))
    written = [
        result
        for result in results.values()
        if usage(result)["cache_creation_input_tokens"]
    ]
    read = [
        result
        for result in results.values()
        if usage(result)["cache_read_input_tokens"]
    ]
    assert 30 < len(written) < 60
    assert len(written) + len(read) == 100


def test_a_batch_of_one_sent_first_spares_the_rest_the_writing(desk):
    desk.ask("canary", system=system())
    results = desk.run(desk.items(100, system=system()))
    assert all(usage(result)["cache_read_input_tokens"] for result in results.values())


def test_how_much_a_cold_batch_misses_can_be_set(open_desk):
    with open_desk(
        Settings(pace=BatchDuration(seconds=0.05, begins_after=0.0))
    ) as desk:
        results = desk.run(desk.items(50, system=system()))
    assert (
        sum(
            usage(result)["cache_creation_input_tokens"] > 0
            for result in results.values()
        )
        == 1
    )


@pytest.mark.parametrize(
    ("model", "cached"), [("claude-haiku-4-5", False), ("claude-haiku-5-5", True)]
)
def test_a_prefix_shorter_than_the_models_minimum_is_silently_not_cached(
    desk, model, cached
):
    used = usage(desk.ask("one", model=model, system=system(SHORT)))
    assert (used["cache_creation_input_tokens"] > 0) is cached


@pytest.mark.parametrize(("ttl", "life"), [("5m", 300), ("1h", 3_600)])
def test_an_entry_dies_when_its_time_is_over(desk, ttl, life):
    desk.ask("one", system=system(ttl=ttl))
    desk.emulator.advance(life + 1)
    assert (
        usage(desk.ask("two", system=system(ttl=ttl)))["cache_creation_input_tokens"]
        > 0
    )


def test_reading_an_entry_keeps_it_alive(desk):
    desk.ask("one", system=system(ttl="5m"))
    for _ in range(3):
        desk.emulator.advance(200)
        assert (
            usage(desk.ask("again", system=system(ttl="5m")))["cache_read_input_tokens"]
            > 0
        )


@pytest.mark.parametrize("change", [
    {"model": "claude-sonnet-4-5"},
    {"thinking": {"type": "adaptive"}},
    {"output_config": {"effort": "low"}},
    {"system": system("Other " + PREFIX)},
])  # fmt: skip
def test_another_model_thinking_effort_or_text_makes_another_entry(desk, change):
    desk.ask("one", system=system())
    assert (
        usage(desk.ask("two", **({"system": system()} | change)))[
            "cache_read_input_tokens"
        ]
        == 0
    )


def test_two_breakpoints_are_written_apart_and_read_as_far_as_they_reach(desk):
    later = {
        "type": "text",
        "text": "Examples. " * 300,
        "cache_control": {"type": "ephemeral", "ttl": "5m"},
    }
    first = usage(desk.ask("one", system=[*system(), later]))["cache_creation"]
    assert first["ephemeral_1h_input_tokens"] > 5_000
    assert 700 < first["ephemeral_5m_input_tokens"] < 800
    other = {**later, "text": "Other examples. " * 300}
    second = usage(desk.ask("two", system=[*system(), other]))
    assert second["cache_read_input_tokens"] == first["ephemeral_1h_input_tokens"]
    assert second["cache_creation"]["ephemeral_5m_input_tokens"] > 0


def test_a_breakpoint_at_the_top_level_is_set_after_the_last_block(desk):
    control = {"type": "ephemeral"}
    used = usage(desk.ask("one " * 5_000, cache_control=control))
    assert used["cache_creation_input_tokens"] > 4_900
    assert used["input_tokens"] < 20


def test_tools_and_messages_can_be_cached_as_well(desk):
    tool = {
        "name": "t",
        "description": PREFIX,
        "input_schema": {"type": "object"},
        "cache_control": {"type": "ephemeral"},
    }
    block = {"type": "text", "text": PREFIX, "cache_control": {"type": "ephemeral"}}
    params = {"tools": [tool], "messages": [{"role": "user", "content": [block]}]}
    assert usage(desk.ask(**params))["cache_creation_input_tokens"] > 10_000
    assert usage(desk.ask(**params))["cache_read_input_tokens"] > 10_000


def test_the_books_price_what_was_used_at_half(desk):
    used = usage(desk.ask("one", model="claude-haiku-4-5", system=system()))
    cost = (
        used["input_tokens"]
        + 2 * used["cache_creation_input_tokens"]
        + 5 * used["output_tokens"]
    ) / 2_000_000
    assert desk.emulator.books()["cost_usd"] == pytest.approx(cost, rel=1e-6)


def test_answers_from_the_us_cost_a_tenth_more(desk):
    desk.ask("one")
    cost = desk.emulator.books()["cost_usd"]
    used = usage(desk.ask("one", inference_geo="us"))
    assert used["inference_geo"] == "us"
    assert desk.emulator.books()["cost_usd"] == pytest.approx(2.1 * cost)


def test_a_long_prompt_to_haiku_5_5_costs_five_times_as_much_for_all_its_tokens(desk):
    short, long = (
        usage(desk.ask("a" * size, model="claude-haiku-5-5"))
        for size in (360_000, 440_000)
    )
    books = desk.emulator.books()
    cost = (0.1 * short["input_tokens"] + 0.5 * short["output_tokens"]) / 2_000_000
    cost += (0.5 * long["input_tokens"] + 2.5 * long["output_tokens"]) / 2_000_000
    assert books["cost_usd"] == pytest.approx(cost, rel=1e-6)
