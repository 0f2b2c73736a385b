"""Every place has one spelling, no ledger lies in another, and nothing is removed that nightbatch has not written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.nights.flow import SOURCE, Flow, put, rows, settings
from tests.support.nights.memory import MemoryWorld

from nightbatch.errors import RunFailed, SettingsError, TargetError
from nightbatch.ledger import keys
from nightbatch.ledger.expire import expire
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.state.state import with_state
from nightbatch.load.load import read_marker
from nightbatch.prepare.prepare import check_target
from nightbatch.spec import locations
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.locations import is_data_file, parse, partition_path

TEXTS = ["one", "two"]
NAMES = [
    "claims", "costs", "leases", "index", "snapshots", "landed", "posts", "batches", "owners", "seen", "turns",
    "questions", "reports", "probe", "x%2Fy",
]  # fmt: skip


@pytest.fixture
def world() -> MemoryWorld:
    """Return a world with one source partition."""
    made = MemoryWorld()
    put(made.store(SOURCE), "dt=1/part-0.parquet", rows(TEXTS))
    return made


def ask(world: MemoryWorld, target: str, **more: Any) -> Flow:
    """Make a run as the operator does: checked, and with its state settled."""
    asked = settings(target=target, **more)
    asked.check()
    asked = with_state(asked, world.store)
    check_target(asked, world.store)
    return Flow(world, asked)


def facts(world: MemoryWorld, target: str) -> list[str]:
    """Name the facts in the state that version 0.1 has kept for a target."""
    listed = world.store(locations.nested_state_url(target)).list("")
    return [entry.key for entry in listed if keys.is_fact(entry.key)]


def bought(world: MemoryWorld) -> int:
    """Count what the API was asked."""
    return sum(len(batch.requests) for batch in world.batches.made)


@pytest.mark.parametrize(
    "url",
    [
        "s3://lake/tickets?x", "s3://lake/tickets#x", "s3://lake/tick\tets/", "s3://lake//tickets/", "s3://lake/a//b/",
        "s3://lake/./tickets/", "s3://lake/x/../tickets/", "s3://lake/tickets//", "s3://user@lake/tickets/",
        "s3://lake:9000/tickets/", "s3://lake/", "s3://lake", "s3:///tickets/", "S3://lake/tickets/",
        "https://lake/tickets/", " s3://lake/tickets/", "s3://lake/tickets /", "s3://lake/tick\u200bets/",
        "s3://lake/tick\u202eets/", "s3://lake/a\\b/", "", None, 7,
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["source", "target", "state"])
def test_a_place_that_could_be_read_in_two_ways_is_refused_by_name(
    name: str, url: Any
) -> None:
    if name == "state" and not url:
        return
    with pytest.raises(SettingsError, match=f"^{name}: "):
        settings(**{name: url}).check()


def test_a_place_with_and_without_its_last_slash_is_the_same() -> None:
    assert parse("s3://lake/tickets", "source") == parse("s3://lake/tickets/", "source")
    assert (
        settings(target="s3://lake/out").output_name
        == settings(target="s3://lake/out/").output_name
    )
    assert (
        settings(target="s3://lake/out").state_url
        == settings(target="s3://lake/out/").state_url
    )


@pytest.mark.parametrize(
    "partition",
    ["dt=1/../2", "dt=1//x", "./dt=1", "dt=1?x", "dt=1#x", "dt=\n1", "_nightbatch/x"],
)
def test_a_partition_that_is_no_plain_path_is_refused(partition: str) -> None:
    with pytest.raises(SettingsError, match=r"^partition: "):
        settings(partition).check()


def test_a_time_in_a_partition_is_plain() -> None:
    assert (
        partition_path("/dt=2026-11-21 00:00:00/hour=1/")
        == "dt=2026-11-21 00:00:00/hour=1"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "s3://lake/_nightbatch/victim/snapshots/"},
        {"target": "s3://lake/_nightbatch/victim/claims/"},
        {"target": "s3://lake/x/_nightbatch/"},
        {"target": "s3://lake/in/out/"},
        {"source": "s3://lake/in/", "target": "s3://lake/in"},
        {"target": "s3://lake/out/", "state": "s3://lake/out/state/"},
        {"target": "s3://lake/st/claims/", "state": "s3://lake/st/"},
        {"source": "s3://lake/st/in/", "state": "s3://lake/st/"},
    ],
)
def test_places_that_lie_in_each_other_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"lie inside each other|keeps its state"):
        settings(**changes).check()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("outer_first", [True, False])
def test_a_target_below_anothers_works_whichever_came_first(
    world: MemoryWorld, name: str, outer_first: bool
) -> None:
    order = ["s3://lake/insurance/", f"s3://lake/insurance/{name}/"]
    for target in order if outer_first else order[::-1]:
        assert ask(world, target).run()["answered"] == 2
    asked = bought(world)
    for target in order:
        assert replace(ask(world, target), buyer="dag/again").run()["answered"] == 2
    assert bought(world) == asked == 4


@pytest.mark.parametrize("name", NAMES[:-1])
def test_an_old_state_in_another_goes_on_and_expiring_the_outer_leaves_it(
    world: MemoryWorld, name: str
) -> None:
    outer, inner = "s3://lake/insurance/", f"s3://lake/insurance/{name}/"
    Flow(world, settings(target=inner, state=locations.nested_state_url(inner))).run()
    assert ask(world, inner).enrichment.state_url == locations.nested_state_url(inner)
    around = Flow(world, settings(target=outer))
    around.run()
    asked = bought(world)
    later = datetime.now(UTC) + timedelta(days=365)
    store = world.store(ask(world, outer).enrichment.state_url)
    before = facts(world, inner)
    expire(Ledger(store), store, later, later)  # type: ignore[arg-type]
    assert facts(world, inner) == before
    replace(ask(world, inner), buyer="dag/again").run()
    replace(around, buyer="dag/again").run()
    assert bought(world) == asked


def test_a_state_in_another_is_refused(world: MemoryWorld) -> None:
    ask(world, "s3://lake/a/", state="s3://lake/state/").run()
    with pytest.raises(
        SettingsError, match=r"state: s3://lake/state/inner/ lies in s3://lake/state/"
    ):
        ask(world, "s3://lake/b/", state="s3://lake/state/inner/")


@pytest.mark.parametrize(
    "foreign",
    [
        "part-00000-abc.snappy.parquet",
        "part-00001.parquet",
        "data.parquet",
        "0.PQ",
        "_SUCCESS",
    ],
)
def test_a_folder_with_other_data_is_refused_before_anything_is_bought(
    world: MemoryWorld, foreign: str
) -> None:
    world.store("s3://lake/hr/").create(f"dt=1/{foreign}", b"")
    with pytest.raises(TargetError, match=f"{foreign}"):
        ask(world, "s3://lake/hr/")
    flow = Flow(world, settings(target="s3://lake/hr/"))
    with pytest.raises(TargetError, match=f"{foreign}"):
        flow.run()
    assert world.store("s3://lake/hr/").get(f"dt=1/{foreign}") == b""


@pytest.mark.parametrize(
    "foreign",
    ["part-time/2026/q.parquet", "part-00001/x.parquet", "README.md", "part-notes.txt"],
)
def test_publishing_removes_nothing_that_it_did_not_write(
    world: MemoryWorld, foreign: str
) -> None:
    source = world.store("s3://lake/people/")
    put(source, "part-0.parquet", rows(TEXTS))
    world.store("s3://lake/hr/").create(foreign, b"theirs")
    flow = Flow(world, settings("", target="s3://lake/hr/", source=source.url))
    flow.run()
    source.remove(["part-0.parquet"])
    put(source, "part-0.parquet", rows(["three"]))
    replace(flow, buyer="dag/again").run()
    assert world.store("s3://lake/hr/").get(foreign) == b"theirs"
    parts = [
        entry.key
        for entry in world.store("s3://lake/hr/").children("")
        if keys.is_part(entry.key)
    ]
    assert len(parts) == 1


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'{"files": 1}', b"7"])
def test_another_partitions_foreign_marker_is_passed_over(
    world: MemoryWorld, body: bytes
) -> None:
    world.store("s3://lake/out/").create("dt=0/_SUCCESS", body)
    assert ask(world, "s3://lake/out/").run()["answered"] == 2
    with pytest.raises(TargetError, match="nightbatch did not write it"):
        read_marker(world.store("s3://lake/out/"), "dt=0")


def test_expire_refuses_what_is_no_state(world: MemoryWorld) -> None:
    store = world.store("s3://lake/backups/")
    store.create("snapshots/db-2026-01/dump.bin", b"theirs")
    later = datetime.now(UTC) + timedelta(days=365)
    with pytest.raises(SettingsError, match="no ledger of nightbatch"):
        expire(Ledger(store), store, later, later)  # type: ignore[arg-type]
    assert store.get("snapshots/db-2026-01/dump.bin") == b"theirs"


def test_a_partition_that_became_empty_is_red_unless_that_is_allowed(
    world: MemoryWorld,
) -> None:
    ask(world, "s3://lake/out/").run()
    put(world.store(SOURCE), "dt=2/part-0.parquet", rows([]))
    with pytest.raises(RunFailed, match="allow_empty"):
        Flow(world, settings("dt=2")).run()
    assert Flow(world, settings("dt=2", allow_empty=True)).run()["rows"] == 0


@pytest.mark.parametrize(
    ("key", "counts"),
    [
        ("dt=1/part-0.parquet", True), ("dt=1/a/part-0.parq", True), ("_day=1/x.parquet", True),
        ("dt=1/_temporary/0/x.parquet", False), ("dt=1/.x.parquet", False), ("dt=1/x.parquet.crc", False),
    ],
)  # fmt: skip
def test_one_definition_of_a_data_file_serves_all(key: str, counts: bool) -> None:
    assert is_data_file(key) is counts


def test_a_table_needs_a_state_outside_the_source() -> None:
    with pytest.raises(SettingsError, match="lie inside each other"):
        Enrichment(
            source=SOURCE,
            prompt="x",
            model="m",
            table="lake.t",
            state="s3://lake/in/state/",
            max_tokens=1,
        ).check()
