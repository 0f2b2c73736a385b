"""Nights that the clock and an upstream's asset start, and a morning's reader of what they publish, all of them small.

`run_immediately` lets the clock start the latest night as soon as the DAG is unpaused, whatever the time of day.
"""

from airflow.sdk import (
    DAG,
    Asset,
    CronPartitionTimetable,
    PartitionedAssetTimetable,
    task,
)

from nightbatch import Enrichment, enrich
from nightbatch.airflow.sensors.input import InputSensor

PARCELS = Asset("s3://lake/parcels/")


def parcels(target: str) -> Enrichment:
    """Ask one thing of each parcel."""
    return Enrichment(
        source=PARCELS.uri + "/",
        target=f"s3://lake/{target}/",
        key=["id"],
        partition="dt={partition_key}",
        prompt="Say: {{ text }}",
        model="claude-haiku-4-5",
        attempts=1,
        canary="never",
        poll_seconds=1,
    )


EVERY_NIGHT = CronPartitionTimetable(
    "0 0 * * *",
    timezone="UTC",
    run_offset=-1,
    run_immediately=True,
    key_format="%Y-%m-%d",
)

with DAG(dag_id="by_clock", schedule=EVERY_NIGHT, catchup=False):
    asked = parcels("by_clock")
    InputSensor(task_id="input", enrichment=asked, poll=1, still=1) >> enrich(asked)

with DAG(
    dag_id="by_asset", schedule=PartitionedAssetTimetable(assets=PARCELS), catchup=False
):
    enrich(parcels("by_asset"))

with DAG(
    dag_id="reader",
    schedule=PartitionedAssetTimetable(assets=Asset("s3://lake/by_asset/")),
    catchup=False,
):

    @task
    def read(triggering_asset_events: object = None) -> list[object]:
        """Tell what a downstream DAG is told of a publication."""
        told = [
            event.extra
            for events in triggering_asset_events.values()
            for event in events
        ]  # type: ignore[attr-defined]
        return [[one["partition"], one["rows"], one["cost_usd"]] for one in told]

    read()
