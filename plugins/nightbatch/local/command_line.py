"""The commands `demo`, which ends by itself, `up`, the same left running, and `cluster`, the same on a cluster."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from nightbatch.errors import NightbatchError
from nightbatch.local.demo import print_outcome, print_simulated, run_nights
from nightbatch.local.print_shell import shell_lines
from nightbatch.local.print_warehouse import print_warehouse, unpause_loads
from nightbatch.local.stack.errors import HomeForeign
from nightbatch.local.stack.ports import free_port, is_free
from nightbatch.local.stack.processes import PRIVATE
from nightbatch.local.stack.settings import PROJECT, Settings
from nightbatch.local.stack.signals import ending_by_exception
from nightbatch.local.stack.stack import Stack

UI_PORT = 8080
STAYING_UP = ("up", "cluster")
FOREIGN_HOME = 2
"""The exit code where `--home` names a folder that no stack has made: that of every wrong argument."""
WIDTH_WITHOUT_TERMINAL = 140


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 if every run succeeded, 2 if the home may not be emptied, 1 for every other failure."""
    os.umask(PRIVATE)
    options = _parser().parse_args(arguments)
    console = _console()
    stays_up = options.command in STAYING_UP
    default_port = _ui_port(console) if stays_up and not options.port else None
    default_home = _default_home(options.command)
    settings = Settings(
        home=options.home or default_home,
        ui_port=options.port or default_port,
        schedules=True,
    )
    try:
        with ending_by_exception():
            _run(_stack_class(options.command), settings, console, stays_up=stays_up)
    except NightbatchError as error:
        _print_error(error, console)
        return FOREIGN_HOME if isinstance(error, HomeForeign) else 1
    return 0


def _default_home(command: str) -> Path:
    """Return a folder of the source tree, or of the user where the package is installed."""
    if PROJECT.joinpath("plugins").is_dir():
        return PROJECT / ".local" / command
    return Path.home() / ".nightbatch" / command


def _print_error(error: NightbatchError, console: Console) -> None:
    console.print(
        f"{type(error).__name__}: {error}",
        style="red",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _stack_class(command: str) -> type[Stack]:
    """Return what runs Airflow: a small stack, or a cluster."""
    if command != "cluster":
        return Stack
    from nightbatch.local.cluster.cluster import Cluster

    return Cluster


def _run(
    stack_class: type[Stack], settings: Settings, console: Console, *, stays_up: bool
) -> None:
    started_at = time.monotonic()

    def report_step(step: str) -> None:
        elapsed_seconds = time.monotonic() - started_at
        console.print(f"{elapsed_seconds:>4.0f} s  {step}", highlight=False)

    print_simulated(console)
    with stack_class(settings, report_step=report_step) as stack:
        airflow = stack.airflow
        report_step(
            f"Airflow is at {airflow.url}: user {airflow.user}, password {airflow.password}"
        )
        unpause_loads(stack)
        reports = run_nights(stack, console)
        print_outcome(stack, reports, console)
        print_warehouse(stack, reports, console)
        print_simulated(console)
        if stays_up:
            _stay_up(stack, console)
    report_step("stopped")


def _stay_up(stack: Stack, console: Console) -> None:
    """Print the addresses, and watch the parts until a signal ends this process."""
    console.rule("up, until Ctrl-C", align="left")
    airflow = stack.airflow
    console.print(
        f"Airflow  {airflow.url}  user {airflow.user}, password {airflow.password}",
        highlight=False,
    )
    console.print(f"S3       {stack.lake.url}", highlight=False)
    console.print(f"Batches  {stack.emulator_url}", highlight=False)
    _print_shell_lines(stack, console)
    try:
        while True:
            stack.check()
            time.sleep(1)
    except SystemExit:  # a signal is the normal way to end `up`
        return


def _print_shell_lines(stack: Stack, console: Console) -> None:
    """Print what another shell needs to use this stack, each line whole, so that it can be copied."""
    console.print("To use them from another shell:", highlight=False)
    lines = shell_lines(s3_url=stack.lake.url, emulator_url=stack.emulator_url)
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _ui_port(console: Console) -> int:
    """Return the UI's usual port if it is free, else another one."""
    if is_free(UI_PORT):
        return UI_PORT
    other_port = free_port()
    console.print(
        f"Port {UI_PORT} is in use: the UI will be on {other_port}.", highlight=False
    )
    return other_port


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH_WITHOUT_TERMINAL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nightbatch.local", description=__doc__
    )
    parser.add_argument("command", choices=("demo", "up", "cluster"))
    parser.add_argument(
        "--home",
        type=Path,
        help="directory for database, logs and copies: new, empty or an earlier stack's; wiped first",
    )
    parser.add_argument(
        "--port", type=int, help=f"port of the UI (up: {UI_PORT} if it is free)"
    )
    return parser
