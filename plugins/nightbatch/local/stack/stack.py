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
    patient,
    plain_env,
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
from nightbatch.local.stack.signals import deaf

STOP_GRACE_SECONDS = 2.0


class Stack:
    """A context manager: healthy inside, nothing left running outside.

    `s3` and `emulator` are the outer world; `scheduler` holds LocalExecutor's workers and tasks as its children.
    """

    def __init__(
        self, settings: Settings, *, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self._home = Home(settings.home)  # as it was typed: a link is refused
        self.settings = settings = replace(settings, home=self._home.path)
        self._tell = tell
        self._reaper: Reaper | None = None
        self._passwords = self.home / "passwords.json"

        self.lake = Lake(free_port())
        self.emulator_port = free_port()
        self.airflow = Airflow(
            require_free(settings.ui_port) if settings.ui_port else free_port()
        )

        env = plain_env()
        self.airflow_env = {
            **env,
            **connections(s3_url=self.lake.url, emulator_url=self.emulator_url),
            **airflow_env(settings, port=self.airflow.port, passwords=self._passwords),
            **settings.env,
        }
        self.s3 = services.s3_service(settings, env, port=self.lake.port)
        self.emulator = services.emulator_service(
            settings, env, port=self.emulator_port
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

    def _airflow_part(self, name: str) -> Service:
        env = self.airflow_env if name == API_SERVER else patient(self.airflow_env)
        return services.airflow_service(name, self.settings, env, airflow=self.airflow)

    @property
    def home(self) -> Path:
        """Where the stack keeps its database, logs and passwords."""
        return self.settings.home

    @property
    def emulator_url(self) -> str:
        """Where the local Message Batches API listens."""
        return f"http://{LOOPBACK}:{self.emulator_port}"

    def books(self) -> Json:
        """Return the emulator's books: what it was sent and what it would have billed."""
        return call(self.emulator_port, "GET", "/_emulator/books")

    def check(self) -> None:
        """Raise ServiceDied, with the end of its log, for a part that has ended by itself."""
        for part in self._parts:
            if part.fell:
                raise ServiceDied(f"{part.name} ended by itself.\n{part.tail()}")

    def twin(self, part: Service, name: str) -> Service:
        """Describe a second instance of a part, to be started beside the first; it ends with the stack."""
        other = replace(part, name=name, started_at=0.0, _process=None, _asked=False)
        self._parts.append(other)
        return other

    def __enter__(self) -> Self:
        """Claim the home and start the parts that the settings name."""
        self._home.claim()
        try:
            self._reaper = Reaper(self.home)
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
        wanted = [part for part in self._parts if part.name in self.settings.parts]
        outer = [part for part in wanted if part not in self._airflow_parts]
        airflow = [part for part in wanted if part in self._airflow_parts]
        self._launch(outer)
        if airflow:
            self._create_database()
            self._launch(airflow)
        for part in wanted:
            part.wait_ready()
        if self.s3.alive:
            self.lake.create()

    def _launch(self, parts: list[Service]) -> None:
        for part in parts:
            self._tell(f"starting {part.name}")
            part.start()

    def _create_database(self) -> None:
        self._tell("creating Airflow's database")
        self.airflow.password = new_passwords(self._passwords)[self.airflow.user]
        migration = services.migration(self.settings, self.airflow_env)
        migration.start()
        migration.wait_done()

    def stop(self) -> None:
        """Stop every part: a moment to end by itself, then kill -9."""
        self._tell("stopping")
        with deaf():
            for part in self._parts:
                part.terminate()
            for part in self._parts:
                part.stop(grace=STOP_GRACE_SECONDS)
            sweep(self.home)
            if self._reaper is not None:
                self._reaper.dismiss()
            self._home.release()
