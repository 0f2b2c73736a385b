"""The stack: its parts, started together, each of which can be stopped, killed and started again alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from nightbatch.local.stack import services
from nightbatch.local.stack.environment import (
    airflow_env,
    connections,
    new_passwords,
    plain_env,
    with_busy_timeout,
)
from nightbatch.local.stack.errors import ServiceDied
from nightbatch.local.stack.home import Home
from nightbatch.local.stack.lake import Lake
from nightbatch.local.stack.ports import LOOPBACK, free_port, require_free
from nightbatch.local.stack.processes import Service, sweep
from nightbatch.local.stack.reaper import Reaper
from nightbatch.local.stack.rest import Airflow, Json, call
from nightbatch.local.stack.settings import (
    API_SERVER,
    DAG_PROCESSOR,
    SCHEDULER,
    TRIGGERER,
    Settings,
)
from nightbatch.local.stack.signals import signals_ignored

ReportStep = Callable[[str], None]
STOP_GRACE_SECONDS = 2.0


class Stack:
    """A context manager: healthy inside, nothing left running outside.

    `s3` and `emulator` replace the outside services; `scheduler` has LocalExecutor's workers and tasks as children.

    :param report_step: called with what the stack does next, such as `starting scheduler`.
    """

    def __init__(
        self, settings: Settings, *, report_step: ReportStep = lambda _: None
    ) -> None:
        self._home = Home(settings.home)  # not resolved yet: a link is refused
        self.settings = replace(settings, home=self._home.path)
        self._report_step = report_step
        self._reaper: Reaper | None = None
        self._passwords = self.home / "passwords.json"

        self.lake = Lake(free_port())
        self.emulator_port = free_port()
        self.airflow = Airflow(_ui_port(settings))

        self._common_env = plain_env()
        self.airflow_env = self._airflow_env()
        self.s3 = services.s3_service(
            self.settings, self._common_env, port=self.lake.port
        )
        self.emulator = services.emulator_service(
            self.settings, self._common_env, port=self.emulator_port
        )
        self.api_server = self._airflow_part(API_SERVER)
        self.scheduler = self._airflow_part(SCHEDULER)
        self.dag_processor = self._airflow_part(DAG_PROCESSOR)
        self.triggerer = self._airflow_part(TRIGGERER)
        self._airflow_parts = [
            self.api_server,
            self.scheduler,
            self.dag_processor,
            self.triggerer,
        ]
        self._parts = [self.s3, self.emulator, *self._airflow_parts]

    def _airflow_env(self) -> dict[str, str]:
        """Return the environment of Airflow's parts: common, connections, options, and the settings' overrides."""
        connection_env = connections(
            s3_url=self.lake.url, emulator_url=self.emulator_url
        )
        option_env = airflow_env(
            self.settings, port=self.airflow.port, passwords=self._passwords
        )
        return {
            **self._common_env,
            **connection_env,
            **option_env,
            **self.settings.env,
        }

    def _airflow_part(self, name: str) -> Service:
        part_env = self.airflow_env
        if name != API_SERVER:
            part_env = with_busy_timeout(part_env)
        return services.airflow_service(
            name, self.settings, part_env, airflow=self.airflow
        )

    @property
    def parts(self) -> tuple[Service, ...]:
        """Every part, those that were added included."""
        return tuple(self._parts)

    @property
    def home(self) -> Path:
        """Where the stack keeps its database, logs and passwords."""
        return self.settings.home

    @property
    def task_logs(self) -> str:
        """Where tasks leave their logs."""
        return str(self.home / "airflow" / "logs")

    @property
    def emulator_url(self) -> str:
        """Where the local Message Batches API listens."""
        return f"http://{LOOPBACK}:{self.emulator_port}"

    def books(self) -> Json:
        """Return the emulator's records: what it was sent and what it would have billed."""
        return call(self.emulator_port, "GET", "/_emulator/books")

    def check(self) -> None:
        """Raise ServiceDied, with the end of its log, for a part that has ended by itself."""
        for part in self._parts:
            if part.ended_by_itself:
                raise ServiceDied(f"{part.name} ended by itself.\n{part.tail()}")

    def twin(self, part: Service, name: str) -> Service:
        """Describe a second instance of a part, to be started next to the first; it ends with the stack."""
        second_part = replace(
            part, name=name, started_at=0.0, _process=None, _asked=False
        )
        self._parts.append(second_part)
        return second_part

    def __enter__(self) -> Self:
        """Claim the home and start the parts that the settings name."""
        self._home.claim()
        try:
            self._reaper = Reaper(self.home)
            self._before_start()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Stop everything, however the block ended."""
        self.stop()

    def _start(self) -> None:
        started_parts = self._started_parts()
        airflow_parts = [part for part in started_parts if part in self._airflow_parts]
        outside_parts = [part for part in started_parts if part not in airflow_parts]
        self._launch(outside_parts)
        self._prepare()
        if airflow_parts:
            self._create_database()
            self._launch(airflow_parts)
        for part in started_parts:
            part.wait_ready()
        if self.s3.alive:
            self.lake.create()

    def _started_parts(self) -> list[Service]:
        """Return the parts that the settings name."""
        part_names = self.settings.parts
        return [part for part in self._parts if part.name in part_names]

    def _before_start(self) -> None:
        """Do what must be done in the empty home before anything is started; here nothing."""

    def _prepare(self) -> None:
        """Do what must be done between the start of the outside parts and that of Airflow's; here nothing."""

    def _launch(self, parts: list[Service]) -> None:
        for part in parts:
            self._report_step(f"starting {part.name}")
            part.start()

    def _create_database(self) -> None:
        self._report_step("creating Airflow's database")
        airflow = self.airflow
        passwords = new_passwords(self._passwords)
        airflow.password = passwords[airflow.user]
        migration = services.migration(self.settings, self.api_server.env)
        migration.start()
        migration.wait_done()

    def stop(self) -> None:
        """Stop every part: a moment to end by itself, then kill -9."""
        self._report_step("stopping")
        with signals_ignored():
            for part in self._parts:
                part.terminate()
            for part in self._parts:
                part.stop(grace=STOP_GRACE_SECONDS)
            sweep(self.home)
            if self._reaper is not None:
                self._reaper.dismiss()
            self._home.release()


def _ui_port(settings: Settings) -> int:
    """Return the port that was asked for, if it is free; any free one if none was."""
    if settings.ui_port:
        return require_free(settings.ui_port)
    return free_port()
