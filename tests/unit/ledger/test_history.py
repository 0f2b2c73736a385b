"""Compacting writes what is known already in another order: nothing that a reader sees may change by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.support.nights.flow import (
    SOURCE,
    TARGET,
    Flow,
    published,
    put,
    rows,
    settings,
)
from tests.support.nights.memory import MemoryWorld

from nightbatch.errors import Absent
from nightbatch.ledger import keys
from nightbatch.ledger.history.history import compact, history
from nightbatch.ledger.ledger import Ledger

NIGHTS = [
    ["one", "two", "three"],
    ["two", "four"],
    ["one", "five", "two"],
    ["six", "three", "five"],
]


def ledger_of(world: MemoryWorld) -> Ledger:
    return Flow(world).ledger


def run_nights(
    world: MemoryWorld, between: Callable[[Ledger], Any], *, reuse: bool = True
) -> list[Any]:
    """Run all nights, doing something to the state after each; return what each has published and reported."""
    seen = []
    for night, texts in enumerate(NIGHTS):
        partition = f"dt={night}"
        put(world.store(SOURCE), f"{partition}/part-0.parquet", rows(texts))
        asked = settings(partition, max_batch_requests=2, reuse=reuse)
        report = Flow(world, asked, f"dag/{night}").run()
        kept = {name: value for name, value in report.items() if name != "seconds"}
        seen.append((published(world.store(TARGET), partition), kept))
        between(ledger_of(world))
    return seen


def compact_all(ledger: Ledger) -> None:
    compact(ledger.store, ledger.view().landed)


def ledger_after(between: Callable[[Ledger], Any] = lambda _: None) -> Ledger:
    """Run the nights in a world of their own; return its ledger."""
    world = MemoryWorld()
    run_nights(world, between)
    return ledger_of(world)


@pytest.mark.parametrize("reuse", [True, False])
def test_nights_buy_and_publish_the_same_whether_the_state_is_compacted_or_not(
    reuse: bool,
) -> None:
    plain = run_nights(MemoryWorld(), lambda _: None, reuse=reuse)
    assert run_nights(MemoryWorld(), compact_all, reuse=reuse) == plain


def test_a_compaction_that_was_cut_short_is_no_hindrance() -> None:
    def cut_short(ledger: Ledger) -> None:
        made = compact(ledger.store, ledger.view().landed, most_rows=2)
        ledger.store.remove(made[1:])

    assert run_nights(MemoryWorld(), cut_short) == run_nights(
        MemoryWorld(), lambda _: None
    )


def test_two_compactions_at_once_are_no_hindrance() -> None:
    def twice(ledger: Ledger) -> None:
        made = compact(ledger.store, ledger.view().landed, most_rows=2)
        bodies = {key: ledger.store.get(key) for key in made}
        ledger.store.remove(made)
        compact(ledger.store, ledger.view().landed)
        for key, body in bodies.items():
            ledger.store.create(key, body)

    assert run_nights(MemoryWorld(), twice) == run_nights(MemoryWorld(), lambda _: None)


def test_compacting_again_writes_only_what_is_new() -> None:
    ledger = ledger_after(compact_all)
    before = [entry.key for entry in ledger.store.list(keys.INDEX)]
    assert compact(ledger.store, ledger.view().landed) == []
    assert [entry.key for entry in ledger.store.list(keys.INDEX)] == before
    past = history(ledger.store, ledger.view().landed)
    assert all(id_file.is_index for id_file in past.id_files)
    assert list(past.shards) == ledger.view().landed


def test_an_index_says_what_the_shards_say() -> None:
    ledger = ledger_after()
    landed = ledger.view().landed

    def said() -> set[tuple[bytes, int, bool]]:
        tables = history(ledger.store, landed).entries(landed[1:])
        return {tuple(row.values()) for table in tables for row in table.to_pylist()}

    single = said()
    compact_all(ledger)
    assert said() == single
    heads = [
        row["id"]
        for row in next(iter(history(ledger.store, landed).entries(landed))).to_pylist()
    ]
    assert heads == sorted(heads)


def test_a_shard_that_is_gone_is_read_no_more_though_an_index_covers_it() -> None:
    ledger = ledger_after(compact_all)
    kept = ledger.view().landed[1:]
    numbers = {
        row["shard"]
        for table in history(ledger.store, kept).entries(kept)
        for row in table.to_pylist()
    }
    assert numbers == {int(shard) for shard in kept}


def test_what_is_settled_in_any_shard_is_what_is_settled_in_all_of_them() -> None:
    ledger = ledger_after()
    landed = ledger.view().landed
    compact(ledger.store, landed[:2])
    past = history(ledger.store, landed)
    assert past.indexes
    assert past.uncovered
    in_any = [ids.to_pylist() for ids in past.all_settled()]
    assert in_any == [ids.to_pylist() for ids in past.settled(landed)]


def test_a_shard_that_is_gone_before_it_is_read_has_settled_nothing() -> None:
    ledger = ledger_after()
    landed = ledger.view().landed
    past = history(ledger.store, landed)
    ledger.store.remove([keys.landed(landed[0])])
    without_it = history(ledger.store, landed[1:])
    in_any = [ids.to_pylist() for ids in past.all_settled()]
    assert in_any == [ids.to_pylist() for ids in without_it.all_settled()]


def test_a_shard_that_is_gone_after_it_was_read_is_an_error() -> None:
    ledger = ledger_after()
    landed = ledger.view().landed
    past = history(ledger.store, landed)
    assert list(past.all_settled())
    ledger.store.remove([keys.landed(landed[0])])
    with pytest.raises(Absent):
        list(past.all_settled())
