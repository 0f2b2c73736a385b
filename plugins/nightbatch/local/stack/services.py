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
    """Describe the embedded S3 server: moto, which honours conditional writes and keeps nothing on disk."""
    argv = (sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port))
    return _service(S3, settings, argv, env, lambda _: _answers(port, "/moto-api/"))


def emulator_service(
    settings: Settings, env: Mapping[str, str], *, port: int
) -> Service:
    """Describe the local Message Batches API; it keeps its batches when it is killed and started again."""
    kept = ("--state", str(settings.home / EMULATOR))
    argv = (
        sys.executable,
        "-m",
        "nightbatch.emulator",
        "--port",
        str(port),
        *kept,
        *settings.emulator_args,
    )
    return _service(
        EMULATOR, settings, argv, env, lambda _: _answers(port, "/_emulator/health")
    )


def migration(settings: Settings, env: Mapping[str, str]) -> Service:
    """Describe the one-off creation of Airflow's database."""
    argv = (sys.executable, "-m", "airflow", "db", "migrate")
    return _service("db-migrate", settings, argv, env, lambda _: True)


def airflow_service(
    name: str, settings: Settings, env: Mapping[str, str], *, airflow: Airflow
) -> Service:
    """Describe one of Airflow's components."""
    argv = (sys.executable, "-m", "airflow", *AIRFLOW_COMMANDS[name])
    return _service(name, settings, argv, env, _health(name, airflow))


def _service(
    name: str,
    settings: Settings,
    argv: tuple[str, ...],
    env: Mapping[str, str],
    is_ready: Callable[[float], bool],
) -> Service:
    return Service(name, argv, env, settings.home, is_ready, patience=settings.patience)


def _health(name: str, airflow: Airflow) -> Callable[[float], bool]:
    def is_healthy(started_at: float) -> bool:
        try:
            if name == API_SERVER:
                airflow.log_in()  # a stranger on this port would answer, but not to our password
                return True
            return airflow.heartbeat(name.replace("-", "_")) >= started_at
        except (OSError, http.client.HTTPException, AirflowRefused):
            return False

    return is_healthy


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
