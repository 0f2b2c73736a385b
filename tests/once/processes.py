"""Runs in processes of their own that can be killed: forked from one that has everything imported already."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from tests.once.flow import Flow, RealWorld

from nightbatch.core.enrichment import Enrichment
from nightbatch.steps import failpoints

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.once.preload"])
PATIENCE = 60.0
KILLED = -9


def start(world: RealWorld, enrichment: Enrichment, buyer: str, armed: Path | None = None) -> ForkServerProcess:
    """Start a whole run; `armed`: the folder of its failpoints."""
    process = _context.Process(target=_run, args=(world, enrichment, buyer, armed), daemon=True)
    process.start()
    return process


def end(process: ForkServerProcess) -> int:
    """Wait for a run's end and return its exit code."""
    process.join(PATIENCE)
    assert process.exitcode is not None, "the run did not end"
    return process.exitcode


def run(world: RealWorld, enrichment: Enrichment, buyer: str, armed: Path | None = None) -> int:
    """Do a whole run in a process of its own and return its exit code."""
    return end(start(world, enrichment, buyer, armed))


def _run(world: RealWorld, enrichment: Enrichment, buyer: str, armed: Path | None) -> None:
    os.environ["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required"
    kill: Any = failpoints.killer(armed) if armed is not None else (lambda _: None)
    with failpoints.watching(kill):
        Flow(world, enrichment, buyer).run()
