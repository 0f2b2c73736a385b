"""What a stack is made of and where it lives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nightbatch.commands.examples import examples_folder

S3 = "s3"
EMULATOR = "emulator"
API_SERVER = "api-server"
SCHEDULER = "scheduler"
DAG_PROCESSOR = "dag-processor"
TRIGGERER = "triggerer"
AIRFLOW_PARTS = (API_SERVER, SCHEDULER, DAG_PROCESSOR, TRIGGERER)
ALL_PARTS = (S3, EMULATOR, *AIRFLOW_PARTS)

PROJECT = examples_folder()
"""Holds `dags/` and `include/`."""
BUCKET = "lake"
REGION = "us-east-1"
ACCESS_KEY = "local"
SECRET_KEY = "local-secret"  # noqa: S105  the embedded S3 server accepts any
API_KEY = "sk-ant-local"
TICKETS = "nightbatch.emulator.responders.builtin:tickets"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The choices of one stack; `home` is wiped when it starts and keeps the logs when it has stopped.

    `schedules` lets the scheduler start runs by itself (by the clock and by asset events). `env` overrides what
    Airflow's processes get; `emulator_args` are appended to the emulator's command.
    """

    home: Path
    project: Path = PROJECT
    dags: Path = PROJECT / "dags"
    parts: tuple[str, ...] = ALL_PARTS
    ui_port: int | None = None
    schedules: bool = False
    emulator_args: tuple[str, ...] = ("--responder", TICKETS)
    env: Mapping[str, str] = field(default_factory=dict)
    patience: float = 120.0
