"""Runs that fall asleep at a point and wake when another has gone on."""

from __future__ import annotations

from pathlib import Path

from tests.support.crashes import processes
from tests.support.crashes.turned import Turned
from tests.support.nights.flow import Flow, published, settings
from tests.support.nights.real import TEXTS, RealWorld

from nightbatch.spec.enrichment import Enrichment

HOUR = 3_600.0


CASES = {
    "lease taken": "It finds the claim of another run and joins it.",
    "claim written": "Another run has joined its claim and bought the batch.",
    "post written": "Its time limit for sending has passed: the body is never complete.",
    "body sent but for its end": "Its time limit for sending has passed: the end of the body is never sent.",
    "batch created": "Another run has taken its batch over: it finds the batch recorded.",
    "owner written": "Another run has taken its batch over: it finds the batch recorded.",
    "batch written": "It continues with what the other run has landed.",
    "results staged": "What has landed stays unchanged.",
    "results landed": "It continues with what is published.",
}


def asked(number: int) -> Enrichment:
    """Return what the zombie of this number asks: prompts of its own, into a target of its own."""
    return settings(
        target=f"s3://lake/out-{number}/",
        prompt=f"{number}: {{{{ text }}}}",
        attempts=1,
    )


def sleep_and_wake(turned: Turned, cases: list[str], folder: Path) -> list[Flow]:
    """Let one run fall asleep at each point; an hour later another does its work; then it wakes and ends."""
    sleepers = []
    for number, point in enumerate(cases):
        drowsy = folder / str(number)
        drowsy.mkdir()
        (drowsy / point).touch()
        job = asked(number)
        sleeper = processes.start(turned.world, job, "dag/zombie", drowsy=drowsy)
        sleepers.append(sleeper)
    for process in sleepers:
        processes.await_sleep(process)
    turned.turn(HOUR)
    jobs = [asked(number) for number in range(len(cases))]
    successors = [processes.start(turned.world, job, "dag/next") for job in jobs]
    for process in successors:
        assert processes.end(process) == 0
    turned.turn(HOUR)
    for process in sleepers:
        processes.wake(process)
    turned.pass_until_ended(sleepers)
    assert [process.exitcode for process in sleepers] == [0] * len(cases)
    return [Flow(turned.world, job) for job in jobs]


def whole(world: RealWorld, flow: Flow) -> bool:
    """Tell whether what a flow has published is that of an undisturbed run: its own prompts, all answered."""
    target = world.store(flow.enrichment.target)
    published_rows = published(target)
    ids = [row["id"] for row in published_rows]
    if ids != [f"row-{number}" for number in range(len(TEXTS))]:
        return False
    answers: dict[str, str] = {}
    for row, text in zip(published_rows, TEXTS, strict=True):
        answer = answers.setdefault(text, row["answer"])
        if row["_status"] != "answered" or row["answer"] != answer:
            return False
    return True


HERE = "Stopped processes that continue late, on real servers"
