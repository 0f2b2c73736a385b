"""`python -m nightbatch.local demo|up`: the demo, which ends by itself, and the same left running."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from nightbatch.errors import NightbatchError
from nightbatch.local.demo import print_outcome, run_nights
from nightbatch.local.print_warehouse import open_doors, print_warehouse
from nightbatch.local.stack.errors import HomeForeign
from nightbatch.local.stack.ports import free_port, is_free
from nightbatch.local.stack.processes import PRIVATE
from nightbatch.local.stack.settings import PROJECT, Settings
from nightbatch.local.stack.signals import ending_by_exception
from nightbatch.local.stack.stack import Stack

UI_PORT = 8080
FOREIGN_HOME = 2
"""The exit code where `--home` names a folder that no stack has made, as for every other wrong argument."""
WIDTH_WITHOUT_TERMINAL = 140


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if every run succeeded, 2 if the home may not be emptied, 1 for every other failure."""
    os.umask(PRIVATE)
    given = _parser().parse_args(arguments)
    console = _console()
    stay = given.command == "up"
    port = given.port or (_ui_port(console) if stay else None)
    settings = Settings(
        home=given.home or PROJECT / ".local" / given.command,
        ui_port=port,
        schedules=True,
    )
    try:
        with ending_by_exception():
            _run(settings, console, stay=stay)
    except NightbatchError as error:
        console.print(
            f"{type(error).__name__}: {error}",
            style="red",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        return FOREIGN_HOME if isinstance(error, HomeForeign) else 1
    return 0


def _run(settings: Settings, console: Console, *, stay: bool) -> None:
    began = time.monotonic()

    def tell(step: str) -> None:
        console.print(f"{time.monotonic() - began:>4.0f} s  {step}", highlight=False)

    with Stack(settings, tell=tell) as stack:
        tell(
            f"Airflow is at {stack.airflow.url}: user {stack.airflow.user}, password {stack.airflow.password}"
        )
        open_doors(stack)
        reports = run_nights(stack, console)
        print_outcome(stack, reports, console)
        print_warehouse(stack, reports, console)
        if stay:
            _stay(stack, console)
    tell("stopped")


def _stay(stack: Stack, console: Console) -> None:
    console.rule("up, until Ctrl-C", align="left")
    airflow = stack.airflow
    console.print(
        f"Airflow  {airflow.url}  user {airflow.user}, password {airflow.password}",
        highlight=False,
    )
    console.print(
        f"S3       {stack.lake.url}\nBatches  {stack.emulator_url}", highlight=False
    )
    try:
        while True:
            stack.check()
            time.sleep(1)
    except SystemExit:  # being told to end is how `up` ends well
        return


def _ui_port(console: Console) -> int:
    if is_free(UI_PORT):
        return UI_PORT
    port = free_port()
    console.print(
        f"Port {UI_PORT} is in use: the UI will be on {port}.", highlight=False
    )
    return port


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH_WITHOUT_TERMINAL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nightbatch.local", description=__doc__
    )
    parser.add_argument("command", choices=("demo", "up"))
    parser.add_argument(
        "--home",
        type=Path,
        help="directory for database, logs and copies: new, empty or an earlier stack's; wiped first",
    )
    parser.add_argument(
        "--port", type=int, help=f"port of the UI (up: {UI_PORT} if it is free)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
