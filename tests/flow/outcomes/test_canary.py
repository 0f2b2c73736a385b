"""A wrong prompt fails on three rows, not on a hundred thousand."""

from __future__ import annotations

from typing import Any

import pytest

from nightbatch.columnar.parquet import table
from nightbatch.errors import CanaryRejected
from nightbatch.ledger.keys import landed

REJECTED = {
    "where": "row",
    "what": "errored",
    "type": "invalid_request_error",
    "message": "temperature: too hot",
}


def test_a_new_question_sends_three_rows_first(night: Any) -> None:
    ref = night.prepare(canary="new")
    plan = night.plan(ref, 0)
    assert [(planned.attempt, planned.requests) for planned in plan.shards] == [(0, 3)]
    night.buy(plan.shards[0].shard)
    assert night.land(plan.shards[0].shard).statuses == {"answered": 3}
    assert [planned.requests for planned in night.plan(ref, 1).shards] == [7]


def test_the_canary_takes_short_and_long_rows(night: Any) -> None:
    night.put(
        "a.parquet", [{"id": n, "body": "word " * (20 * n + 1)} for n in range(16)]
    )
    shard = night.plan(night.prepare(canary="new"), 0).shards[0].shard
    night.buy(shard)
    night.land(shard)
    tokens = table(night.ledger.store, landed(shard)).column("input").to_pylist()
    assert max(tokens) > 3 * min(tokens)


def test_a_question_that_was_answered_before_needs_no_canary(night: Any) -> None:
    night.run(canary="new")
    night.put(
        "b.parquet", [{"id": 100 + n, "body": f"new ticket {n}"} for n in range(10)]
    )
    ref = night.prepare("second", canary="new")
    assert night.plan(ref, 0).shards == []
    assert [planned.requests for planned in night.plan(ref, 1).shards] == [10]


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Say another thing of: {{ body }}"},
        {"system": "You are brief."},
        {"model": "claude-haiku-5-5"},
        {"max_tokens": 99},
        {"params": {"temperature": 0.5}},
        {
            "answer_schema": {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "required": ["a"],
            }
        },
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_question_needs_one(night: Any, change: dict[str, Any]) -> None:
    night.run(canary="new")
    assert (
        len(night.plan(night.prepare("second", canary="new", **change), 0).shards) == 1
    )


def test_always_means_once_in_each_run(night: Any) -> None:
    night.run(canary="always")
    assert (
        night.plan(night.prepare(canary="always", prompt="Again: {{ body }}"), 0).shards
        == []
    )
    assert (
        len(
            night.plan(
                night.prepare("second", canary="always", prompt="Again: {{ body }}"), 0
            ).shards
        )
        == 1
    )


def test_never_means_never(night: Any) -> None:
    assert night.plan(night.prepare(canary="never"), 0).shards == []


def test_three_rows_need_no_canary(night: Any) -> None:
    ref = night.prepare(canary="new", limit=3)
    assert night.plan(ref, 0).shards == []
    assert [planned.requests for planned in night.plan(ref, 1).shards] == [3]


def test_a_rejected_canary_stops_the_run_with_the_api_s_words(night: Any) -> None:
    night.emulator.faults(REJECTED)
    with pytest.raises(
        CanaryRejected,
        match=r"all 3 requests .* at temperature; .*landed/\d+\.parquet\. Fix",
    ):
        night.run(canary="new")
    assert night.emulator.books()["accepted"]["requests"] == 3


def test_a_rejected_canary_stays_red_until_the_request_changes(night: Any) -> None:
    night.emulator.faults(REJECTED)
    ref = night.prepare(canary="new")
    shard = night.plan(ref, 0).shards[0].shard
    night.buy(shard)
    for _ in range(2):
        with pytest.raises(CanaryRejected):
            night.land(shard)
    night.emulator.clear_faults()
    assert (
        night.run("second", canary="new", prompt="Mended: {{ body }}")["answered"] == 10
    )


def test_a_lost_canary_holds_nothing_up(night: Any) -> None:
    night.emulator.faults({"where": "row", "what": "expired", "count": 3})
    report = night.run(canary="new")
    assert (report["answered"], report["bought"]) == (10, 10)


def test_planning_the_canary_again_names_the_same_shard(night: Any) -> None:
    ref = night.prepare(canary="new")
    first = night.plan(ref, 0).shards
    assert night.plan(ref, 0).shards == first
    assert night.bought == 1


def test_two_runs_of_one_question_share_a_canary(night: Any) -> None:
    first = night.plan(night.prepare(canary="new"), 0).shards
    second = night.plan(night.prepare("second", canary="new"), 0).shards
    assert [planned.shard for planned in second] == [planned.shard for planned in first]


def test_more_attempts_than_asked_for_claim_nothing(night: Any) -> None:
    night.emulator.faults({"where": "row", "what": "expired"})
    ref = night.prepare(attempts=1)
    assert len(night.shards(ref, 1)) == 1
    assert night.plan(ref, 2).shards == []
    assert len(night.plan(night.prepare("second", attempts=2), 2).shards) == 1
