"""A run that an older version has begun is finished by this one; a newer version's state is refused in plain words."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.support.nights.memory import world_of_rows
from tests.support.nights.upgrade import BEGUN, ROWS, Begun, begun_by_0_1

from nightbatch.errors import SettingsError
from nightbatch.flow import World, run
from nightbatch.ledger import keys
from nightbatch.ledger.ledger import Ledger
from nightbatch.publish.publish import publish
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.decide import SubmitTiming
from nightbatch.submit.purchase import AllLanded, Purchase


def answers(begun: Begun) -> list[tuple[str, str]]:
    """Return the status and the answer of each published row."""
    (url,) = [
        url for url in begun.bucket.urls_below(BEGUN.target) if url.endswith(".parquet")
    ]
    table = pq.read_table(io.BytesIO(begun.bucket.objects[url]))
    return list(
        zip(table["_status"].to_pylist(), table["answer"].to_pylist(), strict=True)
    )


def test_what_0_1_has_bought_is_landed_and_published_from_its_own_references(
    tmp_path: Path,
) -> None:
    with begun_by_0_1(tmp_path / "account") as begun:
        ref = RunRef.from_xcom(begun.reference)
        ledger = Ledger(begun.store(ref.state))
        ledger.require_readable()
        purchase = Purchase(
            ref, ledger, begun.api, lambda: begun.now, SubmitTiming(), pause=lambda _: None
        )  # fmt: skip
        landed = purchase.land(begun.awaited, "")
        assert isinstance(landed, AllLanded)
        target = begun.store(ref.target)
        report = publish(ref, ledger, target, lambda: begun.now, begun.now)
        assert (report["rows"], report["answered"], report["bought"]) == (ROWS,) * 3
        assert [status for status, answer in answers(begun) if answer] == [
            "answered"
        ] * ROWS
        assert begun.emulator.books()["bought"]["requests"] == ROWS


def test_a_new_run_over_the_state_of_0_1_buys_nothing_again(tmp_path: Path) -> None:
    with begun_by_0_1(tmp_path / "account") as begun:
        world = World(begun.store, begun.api, lambda: begun.now, lambda _: None)
        report = run(BEGUN, world, "another")
        assert (report["rows"], report["answered"]) == (ROWS, ROWS)
        assert begun.emulator.books()["accepted"]["requests"] == ROWS


@pytest.mark.parametrize("mark", [b'{"format":2}', b'{"format":7,"more":[1]}'])
def test_a_state_of_a_newer_version_is_refused_before_anything_is_written_or_bought(
    mark: bytes,
) -> None:
    world = world_of_rows(3)
    state = world.store("s3://lake/_nightbatch/out/")
    state.create(keys.MARK, mark)
    before = dict(world.bucket.objects)
    flow = World(world.store, world.api(), world.now, world.sleep)
    asked = BEGUN
    with pytest.raises(SettingsError, match=r"newer nightbatch; .* up to 1\. Upgrade"):
        run(asked, flow, "older")
    assert world.bucket.objects == before
