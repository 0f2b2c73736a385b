"""Nights of a cluster: many small batches for each partition, and a chain of five tasks that do nothing."""

from itertools import pairwise

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, CronPartitionTimetable

from nightbatch import Enrichment, enrich

asked = Enrichment(
    source="s3://lake/parcels/",
    target="s3://lake/parcel_answers/",
    key=["id"],
    partition="dt={partition_key}",
    prompt="Say: {{ text }}",
    model="claude-haiku-4-5",
    max_tokens=20,
    max_batch_requests=5,
    attempts=2,
    canary="never",
    poll_seconds=2,
)

with DAG(
    dag_id="cluster_nights",
    schedule=CronPartitionTimetable(
        "0 0 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"
    ),
    catchup=False,
    max_active_runs=8,
):
    enrich(asked)


def do_nothing() -> None:
    """Do nothing."""


with DAG(dag_id="empty_chain", schedule=None, max_active_runs=1):
    chain = [
        PythonOperator(task_id=f"task_{number}", python_callable=do_nothing)
        for number in range(5)
    ]
    for earlier, later in pairwise(chain):
        earlier >> later
