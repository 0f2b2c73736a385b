"""Checks before publishing: a red one leaves everything as it was, a warning is told; neither tells a value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from tests.support.nights.flow import SOURCE, TARGET, Flow, put, rows, settings
from tests.support.nights.memory import MemoryWorld

from nightbatch.errors import RunFailed, SettingsError
from nightbatch.publish.quality import QualityProbe, drift, findings
from nightbatch.spec.checks import Checks

DRIFT = {"drift": {"columns": ["answer"], "most": 0.25, "level": "red"}}
EVEN, TILTED = ["red", "blue"] * 20, ["red"] * 35 + ["blue"] * 5


def night(
    world: MemoryWorld, partition: str, texts: Sequence[str], **more: Any
) -> dict[str, Any]:
    """Publish a partition of these texts; the answer to each is about that text."""
    put(
        world.store(SOURCE),
        f"{partition}/part-{len(list(world.store(SOURCE).list('')))}.parquet",
        rows(texts),
    )
    return Flow(world, settings(partition, **more), buyer=f"dag/{partition}").run()


def marker(world: MemoryWorld, partition: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(world.store(TARGET).get(f"{partition}/_SUCCESS"))
    return found


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


def test_a_night_like_those_before_passes(world: MemoryWorld) -> None:
    for partition in ("dt=1", "dt=2"):
        report = night(world, partition, EVEN, checks=DRIFT)
    (found,) = [one for one in report["checks"] if one["check"] == "drift"]
    assert found == {
        "check": "drift",
        "level": "red",
        "passed": True,
        "value": 0.0,
        "limit": 0.25,
        "column": "answer",
    }


def test_a_drift_that_is_red_publishes_nothing_and_loses_no_answer(
    world: MemoryWorld,
) -> None:
    night(world, "dt=1", EVEN, checks=DRIFT)
    before = [entry.key for entry in world.store(TARGET).list("")]
    with pytest.raises(
        RunFailed, match=r"check drift of column answer: 0\.375, limit 0\.25"
    ):
        night(world, "dt=2", TILTED, checks=DRIFT)
    assert [entry.key for entry in world.store(TARGET).list("")] == before
    bought = world.batches.bought()
    report = Flow(world, settings("dt=2"), buyer="dag/again").run()
    assert report["rows"] == len(TILTED)
    assert world.batches.bought() == bought


def test_a_drift_that_warns_is_told_and_published(world: MemoryWorld) -> None:
    gentle = {"drift": DRIFT["drift"] | {"level": "warn"}}
    night(world, "dt=1", EVEN, checks=gentle)
    report = night(world, "dt=2", TILTED, checks=gentle)
    assert [one["passed"] for one in report["checks"] if one["check"] == "drift"] == [
        False
    ]
    assert marker(world, "dt=2")["rows"] == len(TILTED)


def test_the_nights_before_are_those_of_the_target_not_those_run_before(
    world: MemoryWorld,
) -> None:
    night(world, "dt=5", TILTED, checks=DRIFT)
    night(world, "dt=2", EVEN, checks=DRIFT)
    assert night(world, "dt=1", TILTED, checks=DRIFT)["rows"] == len(TILTED)


def test_a_partition_published_again_is_not_compared_with_itself(
    world: MemoryWorld,
) -> None:
    night(world, "dt=1", EVEN, checks=DRIFT)
    world.store(SOURCE).remove(
        [entry.key for entry in world.store(SOURCE).list("dt=1/")]
    )
    assert night(world, "dt=1", TILTED, checks=DRIFT)["rows"] == len(TILTED)


def test_no_report_tells_a_value_and_the_profile_stays_beside_the_data(
    world: MemoryWorld,
) -> None:
    report = night(world, "dt=1", EVEN, checks=DRIFT)
    assert "red" not in json.dumps([{**one, "level": ""} for one in report["checks"]])
    assert "profile" not in report
    assert marker(world, "dt=1")["profile"] == {
        "answer": {"about Say: red": 20, "about Say: blue": 20}
    }


def test_the_share_of_answered_rows_can_warn_above_where_it_fails(
    world: MemoryWorld,
) -> None:
    lax = {"answered": {"least": 0.99, "level": "warn"}}
    report = night(
        world, "dt=1", ["x", "", "y"], checks=lax, prompt="{{ text }}", min_answered=0.5
    )
    (found,) = [one for one in report["checks"] if one["check"] == "answered"]
    assert (found["passed"], found["value"]) == (False, 0.6667)


def test_rows_and_keys_are_checked_unless_told_otherwise(world: MemoryWorld) -> None:
    report = night(world, "dt=1", ["x", "y"])
    assert [
        (one["check"], one["level"], one["passed"]) for one in report["checks"]
    ] == [
        ("rows", "red", True),
        ("unique", "red", True),
    ]
    assert (
        night(world, "dt=2", ["x"], checks={"rows": "off", "unique": "off"})["checks"]
        == []
    )


def test_drift_of_a_column_that_is_not_there_is_refused_before_the_purchase(
    world: MemoryWorld,
) -> None:
    with pytest.raises(SettingsError, match="drift names mood"):
        night(world, "dt=1", ["x"], checks={"drift": {"columns": ["mood"]}})
    assert world.batches.bought() == {}


def test_drift_of_a_list_or_an_object_is_refused_before_the_purchase(
    world: MemoryWorld,
) -> None:
    tags = {
        "type": "object",
        "properties": {"tags": {"type": "array", "items": {"type": "string"}}},
    }
    with pytest.raises(SettingsError, match="tags: a list or an object"):
        night(
            world,
            "dt=1",
            ["x"],
            answer_schema=tags,
            checks={"drift": {"columns": ["tags"]}},
        )
    assert world.batches.bought() == {}


def test_rows_that_were_lost_on_the_way_and_a_repeated_key_are_red() -> None:
    found = findings(
        QualityProbe(Checks(), ["id"]), expected=3, answered=0, repeats=True, history=[]
    )
    assert [(one.check, one.passed) for one in found] == [
        ("rows", False),
        ("unique", False),
    ]


@pytest.mark.parametrize(
    ("now", "before", "moved"),
    [
        ({"a": 1, "b": 1}, [{"a": 5, "b": 5}], 0.0),
        ({"a": 1}, [{"b": 1}], 1.0),
        ({"a": 3, "b": 1}, [{"a": 1, "b": 1}, {"a": 1}], 0.0),
        ({"a": 1}, [], 0.0),
        ({}, [{"a": 1}], 0.0),
    ],
)
def test_drift_is_the_largest_move_of_a_share_from_its_mean(
    now: dict[str, int], before: list[dict[str, int]], moved: float
) -> None:
    assert drift(now, before) == pytest.approx(moved)


@pytest.mark.parametrize(
    "given",
    [
        {"speed": "red"},
        {"rows": "loud"},
        {"drift": {"level": "red"}},
        {"drift": {"columns": "answer"}},
        {"drift": {"columns": None}},
        {"drift": {"columns": [1]}},
        {"drift": {"columns": ["a"], "most": 2}},
        {"drift": ["a"]},
        {"answered": {"most": 1}},
    ],
)
def test_checks_that_make_no_sense_are_refused_before_anything_is_read(
    given: dict[str, Any],
) -> None:
    with pytest.raises(SettingsError, match="checks"):
        settings(checks=given).check()
