"""A marker is taken for ours only if it is one, places of load and wait have one spelling, empty input is noticed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.nights.flow import SOURCE, Flow, put, rows, settings
from tests.support.nights.memory import MemoryWorld

from nightbatch.airflow.operators.load import LoadOperator
from nightbatch.airflow.sensors.input import InputSensor
from nightbatch.commands import _states
from nightbatch.errors import RunFailed, SettingsError, TargetError
from nightbatch.ledger import marker
from nightbatch.load.load import load, read_marker
from nightbatch.load.loading import Loading
from nightbatch.prepare.arrival import arrived
from nightbatch.publish.targets.table_target import REPORT, TableTarget

TARGET = "s3://lake/out/"
PART = "dt=1/part-00000-0123456789ab.parquet"
OURS = {"files": [PART], "rows": 2, "snapshot": "0" * 16}
FOREIGN = [
    {"files": [], "rows": 0},
    {"files": [PART], "rows": "many"},
    {"files": [PART], "rows": -1},
    {"files": [PART], "rows": True},
    {"files": [7], "rows": 1},
    {"files": ["dt=1/part-0.parquet"], "rows": 1},
    {"files": ["dt=2/part-00000-0123456789ab.parquet"], "rows": 1},
    {"files": ["dt=1/../hr/part-00000-0123456789ab.parquet"], "rows": 1},
    {**OURS, "columns": ["id"]},
    {**OURS, "profile": {"id": 7}},
]


@pytest.fixture
def world() -> MemoryWorld:
    """Return a world with one source partition."""
    made = MemoryWorld()
    put(made.store(SOURCE), "dt=1/part-0.parquet", rows(["one", "two"]))
    return made


def fill(world: MemoryWorld, partition: str, texts: list[str]) -> Flow:
    """Write a source partition and return the run over it."""
    put(world.store(SOURCE), f"{partition}/part-0.parquet", rows(texts))
    return Flow(world, settings(partition), buyer=f"dag/{partition}")


def test_a_marker_of_ours_is_read_with_its_types() -> None:
    found = marker.decode(json.dumps({**OURS, "seconds": 1.5}).encode(), "dt=1/")
    assert found == marker.Marker([PART], 2, "0" * 16)


@pytest.mark.parametrize("content", FOREIGN)
def test_json_that_is_no_marker_of_the_folder_is_foreign(
    world: MemoryWorld, content: dict[str, Any]
) -> None:
    store = world.store(TARGET)
    store.create("dt=1/_SUCCESS", json.dumps(content).encode())
    assert marker.read(store, "dt=1/") is None
    with pytest.raises(TargetError, match="nightbatch did not write it"):
        read_marker(store, "dt=1")
    with pytest.raises(TargetError, match="was not written by nightbatch"):
        marker.refuse_foreign(store, "dt=1/")
    assert fill(world, "dt=2", ["three"]).run()["answered"] == 1


def test_publish_refuses_a_foreign_folder_before_it_uploads_anything(
    world: MemoryWorld,
) -> None:
    flow = Flow(world)
    ref = flow.prepare()
    world.store(TARGET).create("dt=1/theirs.parquet", b"theirs")
    with pytest.raises(TargetError, match=r"theirs\.parquet"):
        flow.publish(ref)


@pytest.mark.parametrize("partition", ["../hr", "dt=1//x", "dt=1?x"])
def test_a_partition_to_load_is_a_plain_path(
    world: MemoryWorld, partition: str
) -> None:
    with pytest.raises(SettingsError, match=r"^partition: "):
        load(world.store(TARGET), partition, Loading("triage"), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["s3://lake/", "s3://lake/out?x", "s3://lake//out/"])
def test_a_target_to_load_and_a_source_to_wait_for_have_one_spelling(url: str) -> None:
    operator = LoadOperator(
        task_id="load",
        target=url,
        into=Loading("triage"),
        partition="dt=1",
        conn_id="warehouse_default",
    )
    with pytest.raises(
        Exception, match=r"target: .*such as s3://|target: .*folder names"
    ):
        operator.execute({"params": {"partition": "dt=1"}})  # type: ignore[typeddict-item]
    with pytest.raises(SettingsError, match=r"^source: "):
        InputSensor(task_id="input", enrichment=settings(source=url))


def test_a_source_to_wait_for_is_told_in_its_one_spelling() -> None:
    assert (
        InputSensor(task_id="input", enrichment=settings(source="s3://lake/in")).source
        == "s3://lake/in/"
    )


def test_a_command_names_the_state_that_it_cannot_take() -> None:
    with pytest.raises(SettingsError, match=r"^state: 's3://lake/\?x'"):
        _states.of_url("s3://lake/?x", None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "is_input"),
    [
        ("dt=1/_SUCCESS", True), ("dt=1/hour=0/_SUCCESS", True), ("dt=1/_temporary/0/_SUCCESS", False),
        ("dt=1/.hidden/_SUCCESS", False), ("dt=1/_temporary/0/x.parquet", False), ("_day=1/_SUCCESS", True),
    ],
)  # fmt: skip
def test_what_an_unfinished_write_leaves_is_no_input(key: str, is_input: bool) -> None:
    now = datetime.now(UTC)
    assert arrived([(key, now)], "any", now) is is_input


def test_an_empty_partition_in_a_folder_of_its_own_is_compared_with_the_one_before(
    world: MemoryWorld,
) -> None:
    fill(world, "dt=3/hour=23", ["three"]).run()
    with pytest.raises(RunFailed, match="allow_empty"):
        fill(world, "dt=4/hour=00", []).run()
    listed = [entry.key for entry in world.store(TARGET).list("dt=4/")]
    assert listed == []


def test_columns_are_compared_across_folders_as_well(world: MemoryWorld) -> None:
    fill(world, "dt=3/hour=23", ["three"]).run()
    put(
        world.store(SOURCE),
        "dt=4/hour=00/part-0.parquet",
        rows(["four"]).append_column("note", rows(["x"])["text"]),
    )
    report = Flow(world, settings("dt=4/hour=00", keep=["note"])).run()
    assert report["schema_changes"] == ["note is new (string)"]


def test_a_partition_that_was_published_with_rows_is_not_replaced_by_none(
    world: MemoryWorld,
) -> None:
    Flow(world).run()
    source = world.store(SOURCE)
    source.remove(["dt=1/part-0.parquet"])
    before = [entry.key for entry in world.store(TARGET).list("dt=1/")]
    with pytest.raises(RunFailed, match="allow_empty"):
        fill(world, "dt=1", []).run()
    assert [entry.key for entry in world.store(TARGET).list("dt=1/")] == before


class Commits:
    """A catalog's table of which only the commits are asked for."""

    def __init__(self, *rows: tuple[str, int]) -> None:
        self.rows = rows

    def summaries(self) -> list[dict[str, str]]:
        return [
            {"nightbatch.partition": partition, REPORT: json.dumps({"rows": count})}
            for partition, count in self.rows
        ]


@pytest.mark.parametrize(
    ("commits", "rows_before"),
    [
        ([], 0),
        ([("dt=0", 5)], 5),
        ([("dt=0", 5), ("dt=1", 0)], 0),
        ([("dt=1", 3), ("dt=1", 7)], 7),
        ([("dt=2", 9)], 0),
    ],
)
def test_a_table_tells_how_many_rows_a_partition_had(
    commits: list[tuple[str, int]], rows_before: int
) -> None:
    assert TableTarget(Commits(*commits), "dt=1").rows_before() == rows_before  # type: ignore[arg-type]
