"""Waiting for a night's input: by marker or by any file, only in runs that the clock starts, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from airflow.triggers.base import TriggerEvent
from tests.support.servers.s3 import serving

from nightbatch.airflow.sensors.input import InputSensor
from nightbatch.airflow.triggers.input import InputTrigger
from nightbatch.errors import SettingsError
from nightbatch.prepare.arrival import arrived
from nightbatch.spec.enrichment import Enrichment

SCHEDULED, MANUAL = (
    "scheduled__2026-11-22T00:00:00+00:00",
    "manual__2026-11-22T09:10:11+00:00",
)


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """Run an S3 server and return a bucket of it, which the connection `aws_test` reaches."""
    with serving() as url:
        yield from _open(url)


def _open(url: str) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as environment:
        extra = f"%7B%22endpoint_url%22%3A%22{url.replace(':', '%3A').replace('/', '%2F')}%22%7D"
        environment.setenv(
            "AIRFLOW_CONN_AWS_TEST", f"aws://any:any@/?__extra__={extra}"
        )
        s3 = boto3.resource(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
        made = s3.Bucket("lake")
        made.create()
        yield made


def trigger(key: str, run_name: str = SCHEDULED, **more: str) -> InputTrigger:
    given = {
        "partition": "dt={partition_key}", "key": key, "source": "s3://lake/tickets/", "wait_for": "any",
        "conn": "aws_test", "hours": "1", "poll": "0.05", "still": "0", "run_name": run_name,
    }  # fmt: skip
    return InputTrigger(**(given | more))


async def fires(one: InputTrigger) -> Any:
    async for event in one.run():
        return event
    raise AssertionError("the trigger ended without an event")


@pytest.mark.asyncio
async def test_it_fires_at_once_where_the_input_is_there(bucket: Any) -> None:
    bucket.put_object(Key="tickets/dt=2026-01-01/part-0.parquet", Body=b"x")
    assert await fires(trigger("2026-01-01")) == TriggerEvent({"late": False})


@pytest.mark.asyncio
async def test_it_fires_once_a_late_input_arrives(bucket: Any) -> None:
    waiting = asyncio.create_task(fires(trigger("2026-01-02")))
    await asyncio.sleep(1)
    assert not waiting.done()
    await asyncio.to_thread(
        bucket.put_object, Key="tickets/dt=2026-01-02/_SUCCESS", Body=b""
    )
    assert await asyncio.wait_for(waiting, 20) == TriggerEvent({"late": False})


@pytest.mark.asyncio
async def test_it_gives_up_in_time(bucket: Any) -> None:
    assert await fires(trigger("2026-01-03", hours="0.0001")) == TriggerEvent(
        {"late": True}
    )


@pytest.mark.asyncio
async def test_a_run_started_by_hand_does_not_wait(bucket: Any) -> None:
    assert await fires(trigger("2026-01-04", MANUAL)) == TriggerEvent({"late": False})


@pytest.mark.asyncio
async def test_a_store_that_fails_is_looked_at_again(bucket: Any) -> None:
    late = trigger("2026-01-05", source="s3://no-such-bucket/tickets/", hours="0.0001")
    assert await fires(late) == TriggerEvent({"late": True})


@pytest.mark.asyncio
async def test_a_template_that_was_not_rendered_is_never_taken_for_a_run() -> None:
    with pytest.raises(ValueError, match="not rendered"):
        await fires(trigger("2026-01-06", "{{ run_id }}"))


def test_a_trigger_survives_being_stored() -> None:
    path, kwargs = trigger("2026-01-01").serialize()
    assert path.rsplit(".", 1)[-1] == InputTrigger.__name__
    assert InputTrigger(**kwargs).serialize() == (path, kwargs)


def test_the_sensor_hands_the_trigger_what_it_renders_itself() -> None:
    asked = Enrichment(
        source="s3://lake/in/",
        target="s3://lake/out/",
        prompt="x",
        model="m",
        partition="dt={partition_key}",
    )
    sensor = InputSensor(task_id="input", enrichment=asked)
    assert sensor.start_trigger_args is not None
    assert sensor.start_trigger_args.trigger_kwargs is not None
    assert set(sensor.start_trigger_args.trigger_kwargs) == set(sensor.template_fields)
    with pytest.raises(TimeoutError, match="no input below s3://lake/in/"):
        sensor.execute_complete({}, {"late": True})  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_files_without_a_marker_are_waited_for_until_none_is_added_any_more(
    bucket: Any,
) -> None:
    bucket.put_object(Key="tickets/dt=2026-01-07/part-0.parquet", Body=b"x")
    assert await fires(
        trigger("2026-01-07", still="3600", hours="0.0001")
    ) == TriggerEvent({"late": True})
    added = bucket.put_object(
        Key="tickets/dt=2026-01-07/part-1.parquet", Body=b"y"
    ).last_modified
    assert await asyncio.wait_for(
        fires(trigger("2026-01-07", still="2")), 60
    ) == TriggerEvent({"late": False})
    assert datetime.now(UTC) - added >= timedelta(seconds=2)


NOW = datetime(2026, 11, 22, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("names", "any_will_do", "marker"),
    [
        ([], False, False),
        (["dt=1/_SUCCESS"], True, True),
        (["dt=1/a.parquet"], True, False),
        (
            ["dt=1/_temporary.parquet", "dt=1/.a.parquet", "dt=1/a.csv", "dt=1/"],
            False,
            False,
        ),
    ],
)
def test_what_counts_as_an_input(
    names: list[str], any_will_do: bool, marker: bool
) -> None:
    listed = [(name, NOW) for name in names]
    assert arrived(listed, "any", NOW) is any_will_do
    assert arrived(listed, "_SUCCESS", NOW) is marker


def test_one_fresh_file_holds_all_back_but_not_the_marker() -> None:
    listed = [
        ("dt=1/a/x.parquet", NOW + timedelta(seconds=1)),
        ("dt=1/b/x.parquet", NOW),
    ]
    assert not arrived(listed, "any", NOW)
    assert arrived([*listed, ("dt=1/_SUCCESS", NOW + timedelta(seconds=2))], "any", NOW)


def test_an_unknown_wait_is_refused() -> None:
    with pytest.raises(SettingsError, match="wait_for"):
        arrived([], "csv", NOW)
