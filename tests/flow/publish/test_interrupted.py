"""A partition published again and loaded at the same time: the table is one night or the other, never a mixture.

Each is cut, or the other comes between, at every point there is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pytest
from tests.support.crashes.points import points
from tests.support.nights.flow import SOURCE, TARGET, Flow, put, rows, settings
from tests.support.nights.memory import MemoryWorld

from nightbatch import failpoints
from nightbatch.errors import LoadError
from nightbatch.io.duck import DuckWarehouse
from nightbatch.io.memory import MemoryStore
from nightbatch.load.load import load
from nightbatch.load.loading import Loading

OLD, NEW = ("a", "b", "c"), ("b", "c", "d", "e")
PUBLISHING = [
    "files uploaded",
    "old _SUCCESS removed",
    "old files removed",
    "file published",
    "_SUCCESS written",
]


class Cut(BaseException):
    """The process ends here."""


@dataclass
class Desk:
    """A night that was published and loaded, and whose input has changed since."""

    world: MemoryWorld = field(default_factory=MemoryWorld)
    database: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    runs: int = 0

    def put(self, texts: tuple[str, ...]) -> None:
        source = self.world.store(SOURCE)
        source.remove([entry.key for entry in source.list("")])
        put(source, "dt=1/part-0.parquet", rows(texts))

    def publish(self) -> None:
        self.runs += 1
        Flow(self.world, settings(), buyer=f"dag/{self.runs}").run()

    def load(self, target: Any = None) -> None:
        load(
            target or self.world.store(TARGET),
            "dt=1",
            Loading("triage"),
            DuckWarehouse(self.database),
        )

    def held(self) -> tuple[str, ...]:
        found = self.database.execute("SELECT answer FROM triage ORDER BY 1").fetchall()
        return tuple(row[0].rpartition(" ")[2] for row in found)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    made.put(OLD)
    made.publish()
    made.load()
    made.put(NEW)
    yield made
    made.database.close()


def at(wanted: str, act: Callable[[], None]) -> Callable[[str], None]:
    """Act when a point is first reached."""
    reached: list[str] = []

    def watch(point: str) -> None:
        if point == wanted and point not in reached:
            reached.append(point)
            act()

    return watch


def cut() -> None:
    raise Cut


def test_the_points_of_publishing_are_all_tried() -> None:
    assert set(PUBLISHING) <= set(points())


@pytest.mark.parametrize("point", PUBLISHING)
def test_a_load_after_a_publication_that_was_cut_leaves_one_night_whole(
    desk: Desk, point: str
) -> None:
    with pytest.raises(Cut), failpoints.watching(at(point, cut)):
        desk.publish()
    with contextlib.suppress(LoadError):
        desk.load()
    assert desk.held() == (NEW if point == "_SUCCESS written" else OLD)
    desk.publish()
    desk.load()
    assert desk.held() == NEW


@pytest.mark.parametrize("point", PUBLISHING)
def test_a_load_in_the_midst_of_a_publication_leaves_one_night_whole(
    desk: Desk, point: str
) -> None:
    seen: list[tuple[str, ...]] = []

    def look() -> None:
        with contextlib.suppress(LoadError):
            desk.load()
        seen.append(desk.held())

    with failpoints.watching(at(point, look)):
        desk.publish()
    assert seen == [NEW if point == "_SUCCESS written" else OLD]
    desk.load()
    assert desk.held() == NEW


class Restless(MemoryStore):
    """A target that is published again before its n-th reading."""

    def __init__(self, desk: Desk, before: int) -> None:
        super().__init__(TARGET, desk.world.bucket)
        self.desk, self.left = desk, before

    def get(self, key: str) -> bytes:
        if self.left == 0:
            self.left = -1
            self.desk.publish()
        self.left -= 1
        return super().get(key)


def test_a_publication_in_the_midst_of_a_load_leaves_one_night_whole(
    desk: Desk,
) -> None:
    refused = 0
    for reading in range(5):
        desk.put(OLD)
        desk.publish()
        desk.load()
        desk.put(NEW)
        try:
            desk.load(Restless(desk, reading))
        except LoadError:
            refused += 1
            assert desk.held() == OLD
        else:
            assert desk.held() in (OLD, NEW)
        desk.publish()
        desk.load()
        assert desk.held() == NEW
    assert 1 <= refused < 5
