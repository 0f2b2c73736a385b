"""Zombies: a process is stopped in its tracks (SIGSTOP), an hour passes, its successor goes on; then it wakes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.once import processes
from tests.once.account import Stranger
from tests.once.conftest import TEXTS, Judged
from tests.once.flow import Flow, RealWorld, published, rows, settings
from tests.once.judge import Table, Verdict, verdict
from tests.once.turned import Turned

from nightbatch.emulator.embedded import Emulator
from nightbatch.spec.enrichment import Enrichment
from nightbatch.submit.decide import Timing

HERE = "Zombies, on real servers"
HOUR = 3_600.0
CASES = {
    "lease taken": "it finds that another has claimed, and joins",
    "claim written": "its claim was joined and bought",
    "post written": "its fuse has burned down: its body stays without an end",
    "body sent but for its end": "its fuse has burned down: the end is never sent",
    "batch created": "its successor has adopted: it finds its own batch noted",
    "owner written": "its successor has adopted: it finds its own batch noted",
    "batch written": "it goes on with what its successor has landed",
    "results staged": "what has landed is left as it is",
    "results landed": "it goes on with what is published",
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


def test_a_zombie_that_wakes_after_its_successor_has_gone_on_changes_nothing(
    turned: Turned, emulator: Emulator, table: Table, tmp_path: Path
) -> None:
    turned = Turned(replace(turned.world, timing=Timing()))
    turned.world.make_bucket(rows(TEXTS))
    flows = sleep_and_wake(turned, list(CASES), tmp_path)
    assert all(whole(turned.world, flow) for flow in flows)
    assert emulator.books()["batches"]["created"] == len(CASES)
    seen = verdict(*flows)
    for point, told in CASES.items():
        table.add(HERE, f"asleep at “{point}”", told, seen)
    assert seen == Verdict(0, 0)


def test_a_zombie_whose_orphan_stands_among_strangers_finds_it_adopted(
    turned: Turned, emulator: Emulator, judged: Judged, tmp_path: Path
) -> None:
    turned = Turned(replace(turned.world, timing=Timing()))
    turned.world.make_bucket(rows(TEXTS))
    theirs = Stranger(emulator.url)
    theirs.buy(2, size=4)
    flows = sleep_and_wake(turned, ["batch created"], tmp_path)
    theirs.buy(2, size=4)
    assert whole(turned.world, flows[0])
    assert emulator.books()["batches"]["created"] == 5
    judged(
        HERE,
        "asleep at “batch created”, among strangers' batches of its size",
        "its successor adopts one",
        *flows,
    )
