"""Zombies: a process is stopped in its tracks (SIGSTOP), an hour passes, its successor goes on; then it wakes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.support.crashes.case_table import Judged, Table
from tests.support.crashes.judge import Verdict, verdict
from tests.support.crashes.turned import Turned
from tests.support.crashes.zombies import CASES, HERE, sleep_and_wake, whole
from tests.support.nights.flow import rows
from tests.support.nights.real import TEXTS
from tests.support.servers.account import Stranger

from nightbatch.emulator.embedded import Emulator
from nightbatch.submit.decide import SubmitTiming


def test_a_zombie_that_wakes_after_its_successor_has_gone_on_changes_nothing(
    turned: Turned, emulator: Emulator, table: Table, tmp_path: Path
) -> None:
    turned = Turned(replace(turned.world, timing=SubmitTiming()))
    turned.world.make_bucket(rows(TEXTS))
    flows = sleep_and_wake(turned, list(CASES), tmp_path)
    assert all(whole(turned.world, flow) for flow in flows)
    assert emulator.books()["batches"]["created"] == len(CASES)
    seen = verdict(*flows)
    for point, told in CASES.items():
        table.add(HERE, f"stopped at “{point}”", told, seen)
    assert seen == Verdict(0, 0)


def test_a_zombie_whose_orphan_stands_among_strangers_finds_it_adopted(
    turned: Turned, emulator: Emulator, judged: Judged, tmp_path: Path
) -> None:
    turned = Turned(replace(turned.world, timing=SubmitTiming()))
    turned.world.make_bucket(rows(TEXTS))
    theirs = Stranger(emulator.url)
    theirs.buy(2, size=4)
    flows = sleep_and_wake(turned, ["batch created"], tmp_path)
    theirs.buy(2, size=4)
    assert whole(turned.world, flows[0])
    assert emulator.books()["batches"]["created"] == 5
    judged(
        HERE,
        "stopped at “batch created”, among other programs' batches of the same size",
        "The other run takes over the right one.",
        *flows,
    )
