"""The environment of the stack's processes: Airflow's settings and connections, and none of the user's own."""

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

Sections = Mapping[str, Mapping[str, object]]
"""Airflow's options by section."""

# A developer's own credentials, endpoints and Airflow settings must not reach a stack that runs with fake ones;
# PYTHONDONTWRITEBYTECODE would make every process compile Airflow again (standalone start 23 s instead of 15).
NOT_INHERITED = (
    "AIRFLOW",
    "AWS_",
    "ANTHROPIC_",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPATH",
)
DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
BUSY_SECONDS = 60
"""How long a part waits while another one writes to the database."""
NEW_FILES_SECONDS = 5
"""Between two looks for new DAG files; Airflow's default is five minutes."""
USERS = {"admin": "admin", "val": "viewer"}


def plain_env() -> dict[str, str]:
    """Return this process's environment without what a stack must not inherit."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(NOT_INHERITED)
    }
    environment["PYTHONUNBUFFERED"] = "1"
    # Without SPT_NOENV, Airflow's process titles would overwrite the mark in the environment.
    environment["SPT_NOENV"] = "1"
    for variable_name in ("NO_PROXY", "no_proxy"):
        user_hosts = environment.get(variable_name)
        environment[variable_name] = _without_proxy(user_hosts)
    return environment


def _without_proxy(user_hosts: str | None) -> str:
    """Return the hosts to reach without a proxy: the user's own and this machine."""
    local_hosts = f"{LOOPBACK},localhost"
    return f"{user_hosts},{local_hosts}" if user_hosts else local_hosts


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


def with_busy_timeout(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a part that waits longer than SQLite's 5 s while another one writes.

    Not for the API server: in its event loop it may wait for a request of its own, which cannot finish before the loop
    is free. SQLite's 5 s end that wait; the other parts, which wait at the same time, need more.
    """
    database_url = f"{env[DATABASE]}?timeout={BUSY_SECONDS}"
    return {**env, DATABASE: database_url}


def new_passwords(path: Path) -> dict[str, str]:
    """Write fresh passwords for the stack's users where SimpleAuthManager reads them."""
    passwords = {user: secrets.token_urlsafe(9) for user in USERS}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    _write_private(path, json.dumps(passwords))
    return passwords


def _write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read; raise FileExistsError if there is one already."""
    new_file_only = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    file_descriptor = os.open(path, new_file_only, 0o600)
    with os.fdopen(file_descriptor, "w") as private_file:
        private_file.write(text)


def airflow_env(settings: Settings, *, port: int, passwords: Path) -> dict[str, str]:
    """Return Airflow's settings: light, local, LocalExecutor on SQLite."""
    api_url = f"http://{LOOPBACK}:{port}"
    airflow_home = settings.home / "airflow"
    user_roles = [f"{user}:{role}" for user, role in USERS.items()]
    sections: Sections = {
        "core": {
            "dags_folder": settings.dags,
            "plugins_folder": _plugins_folder(settings),
            "executor": "LocalExecutor",
            "parallelism": 4,
            "load_examples": False,
            "mp_forkserver_preload": "airflow.executors.local_executor,nightbatch.preload",
            "execution_api_server_url": f"{api_url}/execution/",
            "simple_auth_manager_users": ",".join(user_roles),
            "simple_auth_manager_passwords_file": passwords,
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{airflow_home / 'airflow.db'}"},
        "api": {"host": LOOPBACK, "port": port, "base_url": api_url, "workers": 1},
        "api_auth": {"jwt_secret": secrets.token_urlsafe(64)},
        "dag_processor": {
            "parsing_processes": 1,
            "refresh_interval": NEW_FILES_SECONDS,
        },
        "scheduler": {
            "scheduler_idle_sleep_time": 0.25,
            "mp_start_method": "forkserver",
            "use_job_schedule": settings.schedules,
        },
        "workers": {"min_heartbeat_interval": 1},
    }
    return {"AIRFLOW_HOME": str(airflow_home), **_option_variables(sections)}


def _plugins_folder(settings: Settings) -> Path:
    """Return the folder of the source tree; an installed package needs none, and gets one that does not exist."""
    source_folder = settings.project / "plugins"
    return source_folder if source_folder.is_dir() else settings.home / "plugins"


def _option_variables(sections: Sections) -> dict[str, str]:
    """Return Airflow's options, which come by section, as environment variables."""
    variables = {}
    for section_name, options in sections.items():
        for option_name, value in options.items():
            variable_name = _variable_name(section_name, option_name)
            variables[variable_name] = str(value)
    return variables


def _variable_name(section_name: str, option_name: str) -> str:
    return f"AIRFLOW__{section_name}__{option_name}".upper()
