"""Runs in processes of their own that can be killed or put to sleep: forked from one that has everything imported."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psutil
from tests.support.crashes.turned import until
from tests.support.nights.flow import Flow
from tests.support.nights.real import RealWorld

from nightbatch import failpoints
from nightbatch.__main__ import main
from nightbatch.spec.enrichment import Enrichment

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.support.crashes.preload"])
Process = ForkServerProcess
PATIENCE = 180.0
KILLED = -9


def start(
    world: RealWorld,
    enrichment: Enrichment,
    buyer: str,
    armed: Path | None = None,
    drowsy: Path | None = None,
) -> ForkServerProcess:
    """Start a whole run; `armed`: the folder of points at which it is killed, `drowsy`: at which it falls asleep."""
    process = _context.Process(
        target=_run, args=(world, enrichment, buyer, armed, drowsy), daemon=True
    )
    process.start()
    return process


def end(process: ForkServerProcess) -> int:
    """Wait for a run's end and return its exit code."""
    process.join(PATIENCE)
    assert process.exitcode is not None, "the run did not end"
    return process.exitcode


def run(
    world: RealWorld, enrichment: Enrichment, buyer: str, armed: Path | None = None
) -> int:
    """Do a whole run in a process of its own and return its exit code."""
    return end(start(world, enrichment, buyer, armed))


def run_command(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run `nightbatch` in a process of its own, with these variables; return its exit code."""
    process = _context.Process(
        target=_run_command, args=(arguments, environment), daemon=True
    )
    process.start()
    return end(process)


def fall_asleep(
    world: RealWorld, enrichment: Enrichment, buyer: str, drowsy: Path
) -> ForkServerProcess:
    """Start a run and wait until it sleeps, at one of the points that are named by the files of a folder."""
    process = start(world, enrichment, buyer, drowsy=drowsy)
    await_sleep(process)
    return process


def await_sleep(process: ForkServerProcess) -> None:
    """Wait until a process sleeps."""
    until(lambda: asleep(process), "a process to fall asleep")


def asleep(process: ForkServerProcess) -> bool:
    """Tell whether a process is stopped; one that has ended can never be."""
    assert process.exitcode is None, f"it ended, with {process.exitcode}"
    return bool(psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)


def stop(process: ForkServerProcess) -> None:
    """Put a process to sleep wherever it is."""
    os.kill(process.pid or 0, signal.SIGSTOP)
    await_sleep(process)


def wake(process: ForkServerProcess) -> None:
    """Let a process go on that sleeps."""
    os.kill(process.pid or 0, signal.SIGCONT)


def sleeper(folder: Path) -> Callable[[str], None]:
    """Stop this process, as SIGSTOP does, at the first point that a file in the folder is named for."""

    def stand_still(point: str) -> None:
        try:
            (folder / point).unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGSTOP)

    return stand_still


def _run(
    world: RealWorld,
    enrichment: Enrichment,
    buyer: str,
    armed: Path | None,
    drowsy: Path | None,
) -> None:
    os.environ["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required"
    with ExitStack() as watchers:
        if armed is not None:
            watchers.enter_context(failpoints.watching(failpoints.killer(armed)))
        if drowsy is not None:
            watchers.enter_context(failpoints.watching(sleeper(drowsy)))
        Flow(world, enrichment, buyer).run()


def _run_command(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    os.environ.update(environment)
    sys.exit(main(list(arguments)))
