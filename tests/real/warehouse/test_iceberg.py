"""An Iceberg table in the place of a target: a partition is one commit, which readers see whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from tests.real.warehouse.nights import KEYS, NAME, SEAL, STATE, Night, table_in
from tests.support.nights.flow import SOURCE
from tests.support.servers.s3 import serving

from nightbatch.airflow import iceberg
from nightbatch.errors import RunFailed, SettingsError, TargetError
from nightbatch.ids import Snapshot
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.rules import Rules
from nightbatch.spec.run_ref import RunRef


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Run an S3 server."""
    with serving() as url:
        yield url


@pytest.fixture
def night(s3: str, tmp_path: Path) -> Iterator[Night]:
    """Publish into a table of a SQL catalog."""
    properties = {
        "type": "sql",
        "uri": f"sqlite:///{tmp_path}/catalog.db",
        "warehouse": "s3://lake/ice",
    }
    with table_in(s3, properties) as made:
        yield made


def test_nights_are_partitions_of_one_table(night: Night) -> None:
    night.publish("dt=2026-11-20", ["a", "b"])
    night.publish("dt=2026-11-21", ["b", "c"])
    assert night.held() == [
        ("2026-11-20", "a"),
        ("2026-11-20", "b"),
        ("2026-11-21", "b"),
        ("2026-11-21", "c"),
    ]
    assert [field.name for field in night.table.spec().fields] == ["dt"]


def test_a_night_published_again_replaces_its_files_in_one_snapshot_and_touches_no_others(
    night: Night,
) -> None:
    night.publish("dt=2026-11-20", ["a", "b"])
    first = night.files()
    night.publish("dt=2026-11-21", ["c"])
    both = night.files()
    assert first < both
    night.publish("dt=2026-11-21", ["c", "d"])
    assert night.held() == [
        ("2026-11-20", "a"),
        ("2026-11-20", "b"),
        ("2026-11-21", "c"),
        ("2026-11-21", "d"),
    ]
    assert first < night.files()
    assert not (both - first) & night.files()
    assert len(night.table.history()) == 3


def test_a_table_outside_the_roots_is_refused_before_anything_is_bought(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.publish("dt=2026-11-20", ["a"])
    rules = Rules(table=NAME, iceberg_conn_id="ice", aws_conn_id="aws_ice")
    ref = RunRef(
        STATE,
        f"iceberg:{NAME}",
        "dt=2026-11-21",
        Snapshot("0" * 16),
        "dag/2",
        1,
        1,
        rules,
    )
    monkeypatch.setenv("NIGHTBATCH_ROOTS", "s3://lake/ice/")
    iceberg.check_place(ref)
    night.written = None
    night.publish("dt=2026-11-21", ["b"])
    monkeypatch.setenv("NIGHTBATCH_ROOTS", "s3://lake/icebox/")
    with pytest.raises(SettingsError, match="NIGHTBATCH_ROOTS"):
        iceberg.check_place(ref)


def test_each_snapshot_is_a_whole_state(night: Night) -> None:
    for texts in (["a"], ["a", "b"], ["b"]):
        night.publish("dt=2026-11-20", texts)
    counts = [
        night.table.scan(snapshot_id=one.snapshot_id).count()
        for one in night.table.history()
    ]
    assert counts == [1, 2, 1]


def test_publishing_the_same_again_commits_nothing(night: Night) -> None:
    night.publish("dt=2026-11-20", ["a"])
    night.publish("dt=2026-11-20", ["a"])
    assert len(night.table.history()) == 1


def test_the_report_is_in_the_snapshot_s_summary(night: Night) -> None:
    report = night.publish("dt=2026-11-20", ["a", "b"])
    snapshot = night.table.current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    assert (
        json.loads(snapshot.summary.additional_properties["nightbatch.report"])
        == report
    )
    assert (
        snapshot.summary.additional_properties["nightbatch.partition"]
        == "dt=2026-11-20"
    )


def test_a_new_column_is_added_and_old_files_stay(night: Night) -> None:
    night.publish("dt=2026-11-20", ["a"])
    night.publish("dt=2026-11-21", ["b"], keep=["id", "text"])
    texts = {
        (str(row["dt"]), row["text"])
        for row in night.table.scan().to_arrow().to_pylist()
    }
    assert texts == {("2026-11-20", None), ("2026-11-21", "b")}


def test_a_red_check_commits_nothing(night: Night) -> None:
    checks = {"drift": {"columns": ["answer"], "most": 0.2, "level": "red"}}
    night.publish("dt=2026-11-20", ["a", "b"] * 20, checks=checks)
    with pytest.raises(RunFailed, match="drift"):
        night.publish("dt=2026-11-21", ["a"] * 40, checks=checks)
    assert len(night.table.history()) == 1


def test_data_and_metadata_are_sealed(night: Night, s3: str) -> None:
    night.publish("dt=2026-11-20", ["a"])
    client = boto3.client("s3", endpoint_url=s3, **KEYS)  # type: ignore[call-overload]
    written = [
        item["Key"]
        for item in client.list_objects_v2(Bucket="lake", Prefix="ice/")["Contents"]
    ]
    heads = {key: client.head_object(Bucket="lake", Key=key) for key in written}
    assert {key.rpartition(".")[2] for key in heads} == {"json", "avro", "parquet"}
    assert [
        key
        for key, head in heads.items()
        if head.get("SSEKMSKeyId") != SEAL["SSEKMSKeyId"]
    ] == []


@pytest.mark.parametrize("partition", ["2026-11-20", "dt=__HIVE_DEFAULT_PARTITION__"])
def test_a_partition_that_is_no_column_is_refused(night: Night, partition: str) -> None:
    with pytest.raises(TargetError, match="folders such as"):
        night.publish(partition, ["a"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"table": NAME, "target": "s3://lake/out/", "state": STATE},
            "in the place of target",
        ),
        ({"table": NAME}, "state: is needed"),
        ({"table": "triage", "state": STATE}, "must be a name"),
        ({}, "target: is missing"),
    ],
)
def test_a_table_stands_in_the_place_of_a_target(
    given: dict[str, str], told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        Enrichment(
            source=SOURCE, prompt="Say: {{ text }}", model="claude-haiku-4-5", **given
        ).check()  # type: ignore[arg-type]
