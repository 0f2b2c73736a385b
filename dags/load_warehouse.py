"""Load what was published into the warehouse: the partition's rows are replaced, in one transaction.

Started by whatever publishes the asset, for the partition that it published; or from the form, for any.
"""

from airflow.sdk import DAG, Asset, Param, PartitionedAssetTimetable

from nightbatch import Loading, LoadOperator

TARGET = "s3://lake/ticket_triage/"

with DAG(
    dag_id="load_warehouse",
    schedule=PartitionedAssetTimetable(assets=Asset(TARGET)),
    catchup=False,
    max_active_runs=1,
    params={
        "partition": Param(
            None,
            type=["null", "string"],
            title="Partition",
            description="Such as `dt=2026-11-21`. Empty: what the asset event or the run's partition key says.",
        )
    },
    doc_md=__doc__,
    tags=["nightbatch"],
):
    LoadOperator(
        task_id="load",
        target=TARGET,
        into=Loading("ticket_triage"),
        retries=3,
        retry_delay=20.0,
    )
