"""The settings of a cluster's parts, besides those of a small stack."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from nightbatch.local.cluster.servers import USER, Server
from nightbatch.local.stack.ports import LOOPBACK
from nightbatch.local.stack.settings import BUCKET

DATABASE = "airflow"
LOGS = f"s3://{BUCKET}/_airflow_logs"
"""Where tasks leave their logs: workers have disks of their own, which the UI cannot read."""


def cluster_options(postgres: Server, valkey: Server) -> dict[str, str]:
    """Return Airflow's options as environment variables: executor, database, broker, logs, one key for all parts."""
    login = f"{USER}:{postgres.password}@{LOOPBACK}:{postgres.port}/{DATABASE}"
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": "16",
        # Parts with homes of their own would each make a key, and none could read what another has written.
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{login}",
        "AIRFLOW__CELERY__BROKER_URL": f"redis://:{valkey.password}@{LOOPBACK}:{valkey.port}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql://{login}",
        "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "300",
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
        "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": LOGS,
        "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "aws_default",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
    }


def home_of(part: str, home: Path) -> dict[str, str]:
    """Return the variable that gives a part a home of its own, as on a machine of its own."""
    return {"AIRFLOW_HOME": str(home / "airflow" / part)}


def warehouse(file: Path) -> dict[str, str]:
    """Return the connection of the warehouse: one DuckDB file for both workers, of which one loads at a time."""
    connection = {"conn_type": "duckdb", "host": str(file)}
    return {"AIRFLOW_CONN_WAREHOUSE_DEFAULT": json.dumps(connection)}
