"""Deaths of a run: the points at which it is killed, and the faults without which some of them are never reached."""

from __future__ import annotations

from pathlib import Path

from tests.support.crashes import processes
from tests.support.nights.flow import rows, settings
from tests.support.nights.real import TEXTS, RealWorld

from nightbatch.emulator.embedded import Emulator

LOST = {"where": "create", "what": "drop_after", "count": 1}


NEVER = {"where": "create", "what": "drop_before", "count": 1}


NO = {"where": "create", "what": "overloaded", "count": 1, "retry_after": 0.1}


ASKED = settings(max_batch_requests=3)


FINAL = {"where": "create", "what": "too_large", "count": 1}


NEEDS = {
    "answer lost": LOST,
    "orphan looked for": LOST,
    "orphan ruled out": NEVER,
    "create refused": NO,
    "refusal written": NO,
    "claim given up": FINAL,
    "loss landed": FINAL,
}
"""Points that are reached only when something has gone wrong before."""


BY_HAND = {"right to post taken back"}
"""Points that only a human's release reaches."""


ENDS_RED = {"claim given up", "loss landed"}


def killed_once(world: RealWorld, point: str, folder: Path, again: str) -> int:
    """Run, be killed at a point, and run again; return the exit code of the last run."""
    world.make_bucket(rows(TEXTS))
    if point in NEEDS:
        Emulator(world.emulator).faults(NEEDS[point])
    (folder / point).touch()
    first_code = processes.run(world, ASKED, "dag/run", folder)
    assert first_code == processes.KILLED
    code = processes.run(world, ASKED, again)
    if code and point in ENDS_RED:
        return processes.run(world, ASKED, again)
    return code


HERE = "Killed processes and lost responses, on real servers"
