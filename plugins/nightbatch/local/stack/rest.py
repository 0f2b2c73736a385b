"""A client of Airflow's REST API: start a run, watch it, read what it left."""

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
FINISHED = frozenset({"success", "failed"})
PAGE = 100
TICK_SECONDS = 0.5
DATABASE_BUSY, BUSY_TRIES = 500, 21
"""What Airflow answers where its SQLite had another writer: nothing has changed then, and it is asked again."""


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
        return self._authorised(
            "GET", f"/api/v2{path}" + (f"?{urlencode(query)}" if query else "")
        )

    def post(self, path: str, body: Mapping[str, object]) -> Json:
        """POST a JSON body to a path below /api/v2."""
        return self._authorised("POST", f"/api/v2{path}", body)

    def patch(self, path: str, body: Mapping[str, object]) -> Json:
        """PATCH a path below /api/v2."""
        return self._authorised("PATCH", f"/api/v2{path}", body)

    def delete(self, path: str) -> None:
        """DELETE a path below /api/v2."""
        self._authorised("DELETE", f"/api/v2{path}")

    def _authorised(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> Json:
        if not self._token:
            self.log_in()
        for left in reversed(range(BUSY_TRIES)):
            try:
                return call(self.port, method, path, body, token=self._token)
            except AirflowRefused as refusal:
                if refusal.status != DATABASE_BUSY or not left:
                    raise
                time.sleep(TICK_SECONDS)
        raise AssertionError("unreachable")

    def log_in(self) -> None:
        """Get a token; raise AirflowRefused where the password is not that of the server on this port."""
        login = {"username": self.user, "password": self.password}
        self._token = call(self.port, "POST", "/auth/token", login)["access_token"]

    def heartbeat(self, component: str) -> float:
        """Return when a component (scheduler, triggerer, dag_processor) last gave a sign of life, 0 if never."""
        health = call(self.port, "GET", "/api/v2/monitor/health").get(component) or {}
        seen = health.get(f"latest_{component}_heartbeat")
        return datetime.fromisoformat(seen).timestamp() if seen else 0.0

    def wait_parsed(self, dag_id: str, *, patience: float = 60.0) -> None:
        """Block until the DAG is known; raise AirflowRefused with the trace of an import error."""
        deadline = time.monotonic() + patience
        while not self._knows(dag_id):
            if errors := self.get("/importErrors")["import_errors"]:
                raise AirflowRefused(
                    "\n".join(error["stack_trace"] for error in errors), status=404
                )
            if time.monotonic() > deadline:
                raise NotReady(
                    f"The DAG {dag_id} was not parsed within {patience:.0f} s."
                )
            time.sleep(TICK_SECONDS)

    def _knows(self, dag_id: str) -> bool:
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
        return str(self.post(f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> Json:
        """Return the run as the API tells it."""
        return self.get(f"/dags/{dag_id}/dagRuns/{quote(run_id)}")

    def tasks(self, dag_id: str, run_id: str) -> list[Json]:
        """Return all task instances of the run, mapped ones included."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances"
        tasks: list[Json] = []
        while True:
            page = self.get(path, limit=PAGE, offset=len(tasks))
            tasks += page["task_instances"]
            if not page["task_instances"] or len(tasks) >= page["total_entries"]:
                return tasks

    def wait(
        self,
        dag_id: str,
        run_id: str,
        *,
        patience: float = 120.0,
        watch: Callable[[list[Json]], None] | None = None,
    ) -> str:
        """Block until the run has finished and return its state; `watch` sees its task instances at every tick."""
        deadline = time.monotonic() + patience
        while True:
            state = str(self.run(dag_id, run_id)["state"])
            if watch:
                watch(self.tasks(dag_id, run_id))
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
        """Return what a task left in XCom."""
        task = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{quote(task_id)}"
        return self.get(
            f"{task}/xcomEntries/{key}", map_index=map_index, deserialize="true"
        )["value"]

    def log(self, task: Json) -> str:
        """Return the log of a task instance's last try, one event a line."""
        path = f"/dags/{task['dag_id']}/dagRuns/{quote(task['dag_run_id'])}/taskInstances/{quote(task['task_id'])}"
        answer = self.get(
            f"{path}/logs/{max(task['try_number'], 1)}", map_index=task["map_index"]
        )
        content = answer["content"]
        return (
            content if isinstance(content, str) else "\n".join(map(_log_line, content))
        )


def _log_line(entry: Json | str) -> str:
    if isinstance(entry, str):
        return entry
    trace = "".join(
        f"\n  {error.get('exc_type')}: {error.get('exc_value')}"
        for error in entry.get("error_detail") or []
    )
    return f"{entry.get('timestamp') or '':.19} {entry.get('level') or '':<7} {entry.get('event')}{trace}"


def call(
    port: int,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    *,
    token: str = "",
) -> Json:
    """Send one JSON call to a local server; raise AirflowRefused when the answer is not a success."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(
            method, path, json.dumps(body) if body is not None else None, headers
        )
        response = connection.getresponse()
        payload = response.read()
    finally:
        connection.close()
    if response.status >= 400:
        raise AirflowRefused(
            f"{method} {path}: {response.status} {payload[:2000].decode()}",
            status=response.status,
        )
    return json.loads(payload) if payload else {}
