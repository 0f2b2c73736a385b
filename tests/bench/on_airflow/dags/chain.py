"""Five tasks that do nothing, one after the other: what Airflow itself takes for a run of our five."""

from airflow.sdk import DAG, task
from airflow.sdk.bases.operator import chain

with DAG("chain", schedule=None, catchup=False):

    @task
    def nothing() -> None:
        """Do nothing, on a worker."""

    chain(*(nothing.override(task_id=f"step_{number}")() for number in range(1, 6)))
