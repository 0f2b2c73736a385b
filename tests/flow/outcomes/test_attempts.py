"""Each attempt asks what is lost and nothing else; what is settled is never bought again."""

from __future__ import annotations

from typing import Any

import pytest

from nightbatch.errors import RunFailed


def only(what: str, **more: Any) -> dict[str, Any]:
    return {"where": "row", "what": what, "match": {"text": "invoice"}, **more}


LOST = [
    only("expired"),
    only("canceled"),
    only("errored", type="api_error"),
    only("errored", type="overloaded_error"),
    only("errored", type="error_of_the_future"),
    only("unknown_stop"),
    only("pause_turn"),
    only("empty"),
    only("thinking_only"),
]
SETTLED = [
    only("refusal"),
    only("max_tokens"),
    only("context_window"),
    only("errored", type="invalid_request_error"),
]


@pytest.mark.parametrize(
    "fault", LOST, ids=lambda fault: fault.get("type") or fault["what"]
)
def test_the_next_attempt_asks_what_is_lost_in_a_batch_of_its_own(
    night: Any, fault: dict[str, Any]
) -> None:
    night.emulator.faults({**fault, "count": 2})
    report = night.run()
    assert (report["answered"], report["batches"]) == (10, 2)
    assert [batch["requests"] for batch in night.emulator.books()["by_batch"]] == [
        10,
        2,
    ]


@pytest.mark.parametrize(
    "fault", SETTLED, ids=lambda fault: fault.get("type") or fault["what"]
)
def test_what_is_settled_is_asked_neither_by_the_next_attempt_nor_by_a_rerun(
    night: Any, fault: Any
) -> None:
    night.emulator.faults(fault)
    first = night.run(min_answered=0.5)
    again = night.run("second", min_answered=0.5)
    assert (first["answered"], first["batches"]) == (8, 1)
    assert (again["answered"], again["bought"], again["batches"]) == (8, 0, 0)
    assert night.emulator.books()["accepted"]["requests"] == 10


def test_a_settled_row_is_asked_again_once_its_request_changes(night: Any) -> None:
    night.emulator.faults(only("refusal"))
    night.run(min_answered=0.5)
    night.emulator.clear_faults()
    assert (
        night.run("second", prompt="Now say something of: {{ body }}")["answered"] == 10
    )


def test_after_the_last_attempt_each_row_says_what_it_is(night: Any) -> None:
    night.emulator.faults(only("wrong_schema"))
    schema = {
        "type": "object",
        "properties": {"mood": {"type": "string"}},
        "required": ["mood"],
    }
    report = night.run(answer_schema=schema, min_answered=0.5)
    assert (report["by_status"], report["batches"]) == (
        {"answered": 8, "invalid": 2},
        3,
    )
    told = [
        row["_error"]
        for row in night.table().to_pylist()
        if row["_status"] == "invalid"
    ]
    assert all("breaks the schema's rule" in error for error in told)


def test_a_rerun_asks_what_every_attempt_has_lost(night: Any) -> None:
    night.emulator.faults(only("expired"))
    with pytest.raises(RunFailed):
        night.run(attempts=2)
    night.emulator.clear_faults()
    assert night.run("second")["bought"] == 2


def test_a_lane_that_fails_leaves_the_others_landed_and_is_joined_by_the_next_run(
    night: Any,
) -> None:
    ref = night.prepare(max_batch_requests=5)
    failing, other = (planned.shard for planned in night.plan(ref, 1).shards)
    night.buy(other)
    assert night.land(other).statuses == {"answered": 5}
    planned_shards = night.plan(night.prepare("second", max_batch_requests=5), 1).shards
    assert [(planned.shard, planned.joined) for planned in planned_shards] == [
        (failing, True)
    ]
    assert night.run("second", max_batch_requests=5)["answered"] == 10
