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
        sleepers.append(
            processes.start(turned.world, asked(number), "dag/zombie", drowsy=drowsy)
        )
    for process in sleepers:
        processes.await_sleep(process)
    turned.turn(HOUR)
    successors = [
        processes.start(turned.world, asked(number), "dag/next")
        for number in range(len(cases))
    ]
    assert [processes.end(process) for process in successors] == [0] * len(cases)
    turned.turn(HOUR)
    for process in sleepers:
        processes.wake(process)
    turned.pass_until_ended(sleepers)
    assert [process.exitcode for process in sleepers] == [0] * len(cases)
    return [Flow(turned.world, asked(number)) for number in range(len(cases))]


def whole(world: RealWorld, flow: Flow) -> bool:
    """Tell whether what a flow has published is that of an undisturbed run: its own prompts, all answered."""
    found = published(world.store(flow.enrichment.target))
    return [row["id"] for row in found] == [
        f"row-{place}" for place in range(len(TEXTS))
    ] and all(
        row["_status"] == "answered"
        and row["answer"] == found[TEXTS.index(text)]["answer"]
        for row, text in zip(found, TEXTS, strict=True)
    )


HERE = "Stopped processes that continue late, on real servers"
