"""The environment of the stack's processes: Airflow's settings and connections, and nothing of the user's own."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from nightbatch.local.stack.ports import LOOPBACK
from nightbatch.local.stack.settings import (
    ACCESS_KEY,
    API_KEY,
    REGION,
    SECRET_KEY,
    Settings,
)

# A developer's own credentials, endpoints and Airflow settings must not reach a stack that plays with fake ones;
# PYTHONDONTWRITEBYTECODE would make every process compile Airflow anew (standalone start 23 s instead of 15).
NOT_INHERITED = (
    "AIRFLOW",
    "AWS_",
    "ANTHROPIC_",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPATH",
)
DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
BUSY_SECONDS = 60
"""How long a patient part waits while another one writes."""
USERS = {"admin": "admin", "val": "viewer"}


def plain_env() -> dict[str, str]:
    """Return this process's environment without what a stack must not inherit."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(NOT_INHERITED)
    }
    local = f"{LOOPBACK},localhost"
    return {
        **kept,
        "PYTHONUNBUFFERED": "1",
        "SPT_NOENV": "1",  # keeps Airflow's process titles from overwriting the mark in the environment
        "NO_PROXY": ",".join(filter(None, (kept.get("NO_PROXY"), local))),
        "no_proxy": ",".join(filter(None, (kept.get("no_proxy"), local))),
    }


def connections(*, s3_url: str, emulator_url: str) -> dict[str, str]:
    """Return the two connections as Airflow reads them from the environment."""
    anthropic = {"conn_type": "anthropic", "host": emulator_url, "password": API_KEY}
    aws = {
        "conn_type": "aws",
        "login": ACCESS_KEY,
        "password": SECRET_KEY,
        "extra": {"endpoint_url": s3_url, "region_name": REGION},
    }
    return {
        "AIRFLOW_CONN_ANTHROPIC_DEFAULT": json.dumps(anthropic),
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws),
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    }


def patient(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a part that waits while another one writes to SQLite, where 5 s would end it.

    Not for the API server: in its event loop it may wait for a request of its own, which needs the loop to be done.
    SQLite's 5 s end that; the others, which wait meanwhile, must have more.
    """
    return {**env, DATABASE: f"{env[DATABASE]}?timeout={BUSY_SECONDS}"}


def new_passwords(path: Path) -> dict[str, str]:
    """Write fresh passwords for the stack's users where SimpleAuthManager reads them."""
    passwords = {user: secrets.token_urlsafe(9) for user in USERS}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(passwords, file)
    return passwords


def airflow_env(settings: Settings, *, port: int, passwords: Path) -> dict[str, str]:
    """Return Airflow's settings: light, local, LocalExecutor on SQLite."""
    url = f"http://{LOOPBACK}:{port}"
    home = settings.home / "airflow"
    options: Mapping[str, Mapping[str, object]] = {
        "core": {
            "dags_folder": settings.dags,
            "plugins_folder": settings.project / "plugins",
            "executor": "LocalExecutor",
            "parallelism": 4,
            "load_examples": False,
            "mp_forkserver_preload": "airflow.executors.local_executor,nightbatch.preload",
            "execution_api_server_url": f"{url}/execution/",
            "simple_auth_manager_users": ",".join(
                f"{user}:{role}" for user, role in USERS.items()
            ),
            "simple_auth_manager_passwords_file": passwords,
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}"},
        "api": {"host": LOOPBACK, "port": port, "base_url": url, "workers": 1},
        "api_auth": {"jwt_secret": secrets.token_urlsafe(64)},
        "dag_processor": {"parsing_processes": 1},
        "scheduler": {
            "scheduler_idle_sleep_time": 0.25,
            "mp_start_method": "forkserver",
            "use_job_schedule": settings.schedules,
        },
        "workers": {"min_heartbeat_interval": 1},
    }
    return {
        "AIRFLOW_HOME": str(home),
        **{
            f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
            for section, values in options.items()
            for name, value in values.items()
        },
    }
