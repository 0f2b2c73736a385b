"""A state is known by its mark, lies neither in another nor around one, and counts for its target as typed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.nights.flow import SOURCE, Flow, put, rows, settings
from tests.support.nights.memory import MemoryWorld

from nightbatch.errors import CapExceeded, SettingsError, StoreDenied
from nightbatch.io.memory import MemoryStore
from nightbatch.ledger import keys
from nightbatch.ledger.expire import expire
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.state.mark import mark
from nightbatch.ledger.state.state import with_state
from nightbatch.spec.run_ref import RunRef

OUTER = "s3://lake/state/"
INNER = "s3://lake/state/inner/"
THEIRS = b'{"version": 4, "terraform_version": "1.9"}'


@pytest.fixture
def world() -> MemoryWorld:
    """Return a world with one source partition."""
    made = MemoryWorld()
    put(made.store(SOURCE), "dt=1/part-0.parquet", rows(["one", "two"]))
    return made


def run(world: MemoryWorld, **more: Any) -> dict[str, Any]:
    """Do a whole run in the state that is settled for it."""
    return Flow(world, with_state(settings(**more), world.store)).run()


class Denying(MemoryStore):
    """A store whose bucket lets nobody read what lies directly in some folders."""

    def get(self, key: str) -> bytes:
        if self.url + key in {f"{OUTER}{keys.MARK}", f"s3://lake/{keys.MARK}"}:
            raise StoreDenied(f"{self.url}{key}: denied.")
        return super().get(key)


def test_a_new_state_around_another_is_refused(world: MemoryWorld) -> None:
    run(world, state=INNER)
    with pytest.raises(SettingsError, match=rf"^state: {OUTER} lies around {INNER}"):
        run(world, target="s3://lake/b/", state=OUTER)


def test_another_programs_file_of_the_mark_s_name_is_no_state(
    world: MemoryWorld,
) -> None:
    world.store(OUTER).create(keys.MARK, THEIRS)
    world.store(INNER).create(f"below/{keys.MARK}", THEIRS)
    assert run(world, state=INNER)["answered"] == 2


def test_a_state_is_not_put_where_another_program_has_a_file_of_the_mark_s_name(
    world: MemoryWorld,
) -> None:
    world.store(OUTER).create(keys.MARK, THEIRS)
    with pytest.raises(
        SettingsError,
        match=r"^state: s3://lake/state/state\.json was not written by nightbatch",
    ):
        run(world, state=OUTER)
    assert world.store(OUTER).get(keys.MARK) == THEIRS


def test_a_folder_above_that_may_not_be_read_is_no_state(world: MemoryWorld) -> None:
    asked = with_state(settings(state=INNER), lambda url: Denying(url, world.bucket))
    assert asked.state_url == INNER


def test_expire_takes_another_programs_file_for_no_state(world: MemoryWorld) -> None:
    store = world.store("s3://lake/backups/")
    store.create(keys.MARK, THEIRS)
    later = datetime.now(UTC) + timedelta(days=365)
    with pytest.raises(SettingsError, match="no ledger of nightbatch"):
        expire(Ledger(store), store, later, later)  # type: ignore[arg-type]


def test_a_marked_state_is_there_before_anything_is_bought(world: MemoryWorld) -> None:
    store = world.store(OUTER)
    assert not Ledger(store).is_there
    mark(store)
    mark(store)
    assert Ledger(store).is_there


def test_the_folder_of_all_states_is_none_itself() -> None:
    with pytest.raises(
        SettingsError,
        match=r"^state: s3://lake/_nightbatch/ holds the states of all targets",
    ):
        settings(state="s3://lake/_nightbatch").check()
    settings(state="s3://lake/_nightbatch/out/").check()


@pytest.mark.parametrize("key", ["owners/state.json", "seen/state.json"])
def test_the_mark_of_a_state_that_version_0_1_put_into_another_is_no_fact_of_the_outer(
    key: str,
) -> None:
    assert not keys.is_fact(key)


def noted_as(ref: RunRef, target: str) -> RunRef:
    """Return the run as version 0.1 began it: with its target as somebody typed it."""
    return replace(ref, target=target)


def test_what_version_0_1_bought_counts_against_the_caps_of_the_same_target(
    world: MemoryWorld,
) -> None:
    flow = Flow(world, settings(max_monthly_cost_usd=1.0))
    for planned in flow.plan(noted_as(flow.prepare(), "s3://lake/out")):
        flow.wait(flow.submit(planned.shard))
        flow.land(planned.shard)
    put(world.store(SOURCE), "dt=2/part-0.parquet", rows(["three"]))
    later = Flow(world, settings("dt=2", max_monthly_cost_usd=1e-9), buyer="dag/later")
    with pytest.raises(CapExceeded, match="max_monthly_cost_usd"):
        later.plan(later.prepare())


def test_what_version_0_1_bought_for_a_partition_is_in_the_report_of_it(
    world: MemoryWorld,
) -> None:
    flow = Flow(world)
    ref = flow.prepare()
    for planned in flow.plan(noted_as(ref, "s3://lake/out")):
        flow.wait(flow.submit(planned.shard))
        flow.land(planned.shard)
    report = flow.publish(ref)
    assert (report["bought"], report["reused"], report["batches"]) == (2, 0, 1)
