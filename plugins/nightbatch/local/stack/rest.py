"""A client of Airflow's REST API: start a run, watch it, read its logs and XComs."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from nightbatch.local.stack.errors import AirflowRefused, NotReady
from nightbatch.local.stack.ports import LOOPBACK

Json = dict[str, Any]
Body = Mapping[str, object]
"""A JSON object to be sent."""
FINISHED = frozenset({"success", "failed"})
PAGE = 100
TICK_SECONDS = 0.5
DATABASE_BUSY = 500
"""Airflow's status where its SQLite had another writer: nothing has changed then, and the call is repeated."""
BUSY_TRIES = 21


@dataclass
class Airflow:
    """The REST API of one stack, as one of its users."""

    port: int
    user: str = "admin"
    password: str = field(default="", repr=False)
    _token: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The address of the UI."""
        return f"http://{LOOPBACK}:{self.port}"

    def get(self, path: str, **query: object) -> Json:
        """GET a path below /api/v2."""
        query_string = f"?{urlencode(query)}" if query else ""
        return self._authorized("GET", f"/api/v2{path}{query_string}")

    def post(self, path: str, body: Body) -> Json:
        """POST a JSON body to a path below /api/v2."""
        return self._authorized("POST", f"/api/v2{path}", body)

    def patch(self, path: str, body: Body) -> Json:
        """PATCH a path below /api/v2."""
        return self._authorized("PATCH", f"/api/v2{path}", body)

    def delete(self, path: str) -> None:
        """DELETE a path below /api/v2."""
        self._authorized("DELETE", f"/api/v2{path}")

    def _authorized(self, method: str, path: str, body: Body | None = None) -> Json:
        if not self._token:
            self.log_in()
        for _ in range(BUSY_TRIES - 1):
            try:
                return call(self.port, method, path, body, token=self._token)
            except AirflowRefused as refusal:
                if refusal.status != DATABASE_BUSY:
                    raise
                time.sleep(TICK_SECONDS)
        return call(self.port, method, path, body, token=self._token)

    def log_in(self) -> None:
        """Get a token; raise AirflowRefused where the password is not that of the server on this port."""
        credentials = {"username": self.user, "password": self.password}
        response = call(self.port, "POST", "/auth/token", credentials)
        self._token = response["access_token"]

    def heartbeat(self, component: str) -> float:
        """Return the time of a component's (scheduler, triggerer, dag_processor) last heartbeat, 0 if never."""
        health = call(self.port, "GET", "/api/v2/monitor/health")
        component_health = health.get(component) or {}
        heartbeat_text = component_health.get(f"latest_{component}_heartbeat")
        if not heartbeat_text:
            return 0.0
        moment = datetime.fromisoformat(heartbeat_text)
        return moment.timestamp()

    def wait_parsed(self, dag_id: str, *, patience: float = 60.0) -> None:
        """Block until the DAG is parsed; raise AirflowRefused with the trace of an import error."""
        deadline = time.monotonic() + patience
        while not self._has_dag(dag_id):
            self._require_imports()
            if time.monotonic() > deadline:
                raise NotReady(
                    f"The DAG {dag_id} was not parsed within {patience:.0f} s."
                )
            time.sleep(TICK_SECONDS)

    def _require_imports(self) -> None:
        """Raise AirflowRefused with the traces of all import errors, if there are any."""
        import_errors = self.get("/importErrors")["import_errors"]
        if import_errors:
            stack_traces = [error["stack_trace"] for error in import_errors]
            raise AirflowRefused("\n".join(stack_traces), status=404)

    def _has_dag(self, dag_id: str) -> bool:
        try:
            self.get(f"/dags/{dag_id}")
        except AirflowRefused as refusal:
            if refusal.status != 404:
                raise
            return False
        return True

    def trigger(
        self,
        dag_id: str,
        *,
        conf: Mapping[str, object] | None = None,
        partition_key: str | None = None,
    ) -> str:
        """Start a run of the DAG, unpaused if need be, and return its id."""
        self.patch(f"/dags/{dag_id}", {"is_paused": False})
        body = {
            "logical_date": None,
            "conf": dict(conf or {}),
            "partition_key": partition_key,
        }
        dag_run = self.post(f"/dags/{dag_id}/dagRuns", body)
        return str(dag_run["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> Json:
        """Return the run as the API reports it."""
        return self.get(_run_path(dag_id, run_id))

    def tasks(self, dag_id: str, run_id: str) -> list[Json]:
        """Return all task instances of the run, mapped ones included."""
        run_path = _run_path(dag_id, run_id)
        tasks_path = f"{run_path}/taskInstances"
        task_instances: list[Json] = []
        while True:
            offset = len(task_instances)
            page = self.get(tasks_path, limit=PAGE, offset=offset)
            page_tasks = page["task_instances"]
            task_instances += page_tasks
            is_complete = len(task_instances) >= page["total_entries"]
            if is_complete or not page_tasks:
                return task_instances

    def wait(
        self,
        dag_id: str,
        run_id: str,
        *,
        patience: float = 120.0,
        watch: Callable[[], None] = lambda: None,
    ) -> str:
        """Block until the run has finished and return its state; `watch` is called at every tick."""
        deadline = time.monotonic() + patience
        while True:
            state = str(self.run(dag_id, run_id)["state"])
            watch()
            if state in FINISHED:
                return state
            if time.monotonic() > deadline:
                raise NotReady(
                    f"The run {run_id} of {dag_id} was still {state} after {patience:.0f} s."
                )
            time.sleep(TICK_SECONDS)

    def xcom(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        *,
        map_index: int = -1,
        key: str = "return_value",
    ) -> Any:
        """Return what a task wrote to XCom."""
        task_path = _task_path(dag_id, run_id, task_id)
        xcom_entry = self.get(
            f"{task_path}/xcomEntries/{key}", map_index=map_index, deserialize="true"
        )
        return xcom_entry["value"]

    def log(self, task: Json) -> str:
        """Return the log of a task instance's last try, one event a line."""
        task_path = _task_path(task["dag_id"], task["dag_run_id"], task["task_id"])
        try_number = max(task["try_number"], 1)
        log_path = f"{task_path}/logs/{try_number}"
        response = self.get(log_path, map_index=task["map_index"])
        content = response["content"]
        if isinstance(content, str):
            return content
        log_lines = [_log_line(entry) for entry in content]
        return "\n".join(log_lines)


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id)}"


def _task_path(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}"


def _log_line(entry: Json | str) -> str:
    """Return one entry of a log as text, with the errors that it reports."""
    if isinstance(entry, str):
        return entry
    timestamp = entry.get("timestamp") or ""
    level = entry.get("level") or ""
    event = entry.get("event")
    log_lines = [f"{timestamp:.19} {level:<7} {event}"]
    for error in entry.get("error_detail") or []:
        error_line = _error_line(error)
        log_lines.append(error_line)
    return "\n".join(log_lines)


def _error_line(error: Json) -> str:
    return f"  {error.get('exc_type')}: {error.get('exc_value')}"


def call(
    port: int,
    method: str,
    path: str,
    body: Body | None = None,
    *,
    token: str = "",
) -> Json:
    """Send one JSON call to a local server; raise AirflowRefused when the answer is not a success."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request_body = json.dumps(body) if body is not None else None
    try:
        connection.request(method, path, request_body, headers)
        response = connection.getresponse()
        response_body = response.read()
    finally:
        connection.close()
    if response.status >= 400:
        shown_body = response_body[:2000].decode()
        raise AirflowRefused(
            f"{method} {path}: {response.status} {shown_body}", status=response.status
        )
    return json.loads(response_body) if response_body else {}
