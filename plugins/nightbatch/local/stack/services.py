"""How each part of the stack is started, and how it shows that it is healthy."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable, Mapping

from nightbatch.local.stack.errors import AirflowRefused
from nightbatch.local.stack.ports import LOOPBACK
from nightbatch.local.stack.processes import Service
from nightbatch.local.stack.rest import Airflow
from nightbatch.local.stack.settings import (
    API_SERVER,
    DAG_PROCESSOR,
    EMULATOR,
    S3,
    SCHEDULER,
    TRIGGERER,
    Settings,
)

# serve-logs would listen on 0.0.0.0; all parts share one disk, so the API server reads the logs from there.
AIRFLOW_COMMANDS = {
    API_SERVER: ("api-server",),
    SCHEDULER: ("scheduler", "--skip-serve-logs"),
    DAG_PROCESSOR: ("dag-processor",),
    TRIGGERER: ("triggerer", "--skip-serve-logs"),
}


def s3_service(settings: Settings, env: Mapping[str, str], *, port: int) -> Service:
    """Describe the embedded S3 server: moto, which uses conditional writes and keeps nothing on disk."""
    argv = (sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port))

    def is_ready(_: float) -> bool:
        return _responds(port, "/moto-api/")

    return _service(S3, settings, argv, env, is_ready)


def emulator_service(
    settings: Settings, env: Mapping[str, str], *, port: int
) -> Service:
    """Describe the local Message Batches API; it keeps its batches when it is killed and started again."""
    state_folder = settings.home / EMULATOR
    argv = (
        sys.executable,
        "-m",
        "nightbatch.emulator",
        "--port",
        str(port),
        "--state",
        str(state_folder),
        *settings.emulator_args,
    )

    def is_ready(_: float) -> bool:
        return _responds(port, "/_emulator/health")

    return _service(EMULATOR, settings, argv, env, is_ready)


def migration(settings: Settings, env: Mapping[str, str]) -> Service:
    """Describe the one-off creation of Airflow's database."""
    argv = (sys.executable, "-m", "airflow", "db", "migrate")
    return _service("db-migrate", settings, argv, env, lambda _: True)


def airflow_service(
    name: str, settings: Settings, env: Mapping[str, str], *, airflow: Airflow
) -> Service:
    """Describe one of Airflow's components."""
    argv = (sys.executable, "-m", "airflow", *AIRFLOW_COMMANDS[name])
    is_ready = _health_check(name, airflow)
    return _service(name, settings, argv, env, is_ready)


def _service(
    name: str,
    settings: Settings,
    argv: tuple[str, ...],
    env: Mapping[str, str],
    is_ready: Callable[[float], bool],
) -> Service:
    return Service(name, argv, env, settings.home, is_ready, patience=settings.patience)


def _health_check(name: str, airflow: Airflow) -> Callable[[float], bool]:
    component_name = name.replace("-", "_")

    def is_healthy(started_at: float) -> bool:
        try:
            if name == API_SERVER:
                # Another server on this port would respond, but not accept our password.
                airflow.log_in()
                return True
            return airflow.heartbeat(component_name) >= started_at
        except (OSError, http.client.HTTPException, AirflowRefused):
            return False

    return is_healthy


def _responds(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
