"""The cluster: a stack whose Airflow runs on PostgreSQL and Valkey, with two triggerers and two Celery workers."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

from nightbatch.local.cluster import servers
from nightbatch.local.cluster.options import (
    DATABASE,
    LOGS,
    cluster_options,
    home_of,
    warehouse,
)
from nightbatch.local.cluster.servers import POSTGRES, VALKEY, Server
from nightbatch.local.stack import services
from nightbatch.local.stack.ports import free_port
from nightbatch.local.stack.processes import Service
from nightbatch.local.stack.settings import ALL_PARTS, Settings
from nightbatch.local.stack.stack import ReportStep, Stack

SECOND_TRIGGERER = "triggerer-2"
WORKERS = ("worker-1", "worker-2")
CONCURRENCY = 2
"""Tasks that a worker runs at a time."""
CLUSTER_PARTS = (POSTGRES, VALKEY, *ALL_PARTS, SECOND_TRIGGERER, *WORKERS)


class Cluster(Stack):
    """A context manager, as Stack is; its workers and its second triggerer are parts like the others."""

    def __init__(
        self, settings: Settings, *, report_step: ReportStep = lambda _: None
    ) -> None:
        self._postgres_server = Server(free_port(), secrets.token_urlsafe(16))
        self._valkey_server = Server(free_port(), secrets.token_urlsafe(16))
        options = cluster_options(self._postgres_server, self._valkey_server)
        warehouse_file = settings.home.resolve() / "airflow" / "warehouse.duckdb"
        cluster_env = {**options, **warehouse(warehouse_file), **settings.env}
        settings = replace(settings, parts=CLUSTER_PARTS, env=cluster_env)
        super().__init__(settings, report_step=report_step)
        self.postgres = servers.postgres_service(
            self._postgres_server, self.home, self._common_env
        )
        self.valkey = servers.valkey_service(
            self._valkey_server, self.home, self._common_env
        )
        self.second_triggerer = replace(
            self.triggerer,
            name=SECOND_TRIGGERER,
            env=self._env_of(SECOND_TRIGGERER),
            is_ready=self._has_both_triggerers,
        )
        self.workers = [self._worker(name) for name in WORKERS]
        added_parts = [self.second_triggerer, *self.workers]
        self._airflow_parts += added_parts
        self._parts = [self.postgres, self.valkey, *self._parts, *added_parts]

    @property
    def task_logs(self) -> str:
        """Where tasks leave their logs: workers have disks of their own."""
        return LOGS

    def _airflow_part(self, name: str) -> Service:
        return services.airflow_service(
            name, self.settings, self._env_of(name), airflow=self.airflow
        )

    def _env_of(self, part: str) -> Mapping[str, str]:
        """Return the environment of one part of Airflow, which has a home of its own."""
        return {**self.airflow_env, **home_of(part, self.home)}

    def _worker(self, name: str) -> Service:
        argv = (
            sys.executable, "-m", "airflow", "celery", "worker", "--skip-serve-logs",
            "--concurrency", str(CONCURRENCY), "--celery-hostname", f"{name}@%h",
        )  # fmt: skip
        worker = Service(
            name,
            argv,
            self._env_of(name),
            self.home,
            lambda _: False,
            patience=self.settings.patience,
        )
        worker.is_ready = lambda _: " ready." in worker.output
        return worker

    def _has_both_triggerers(self, started_at: float) -> bool:
        """Tell whether two triggerers are alive."""
        if not self.triggerer.is_ready(started_at):
            return False
        jobs = self.airflow.get("/jobs", job_type="TriggererJob", is_alive="true")
        return int(jobs["total_entries"]) >= 2

    def _before_start(self) -> None:
        servers.create_postgres_data(self._postgres_server, self.home)
        servers.write_valkey_settings(self._valkey_server, self.home)

    def _prepare(self) -> None:
        """Wait for both servers, and make Airflow's database."""
        self.postgres.wait_ready()
        self.valkey.wait_ready()
        servers.create_postgres_database(self._postgres_server, DATABASE)

    def connect(self, database: str = DATABASE) -> Any:
        """Open a connection to the metadata database; to be closed by the caller."""
        return servers.connect_postgres(self._postgres_server, database)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a query finds in Airflow's database."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def stop(self) -> None:
        """Stop everything, and remove the database, also where the start has failed."""
        super().stop()
        servers.remove_postgres_data(self.home)
