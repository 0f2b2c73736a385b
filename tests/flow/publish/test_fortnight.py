"""A fortnight of nights on the emulator: inputs late, growing, changing and vanishing, two nights failed and
backfilled, one schema change. Each morning the warehouse is what a computation from scratch makes of the lake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from tests.support.nights.flow import SOURCE, TARGET, Flow, put, settings
from tests.support.nights.real import RealWorld

from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.responders.builtin import tickets
from nightbatch.emulator.settings import BatchDuration, Settings
from nightbatch.errors import RunFailed, SourceError
from nightbatch.io.duck import DuckWarehouse
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.load.load import load
from nightbatch.load.loading import Loading
from nightbatch.messages.schema import api_schema
from nightbatch.ports import Batches, Store
from nightbatch.publish.report import Report

Rows = Mapping[str, str]
TRIAGE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "category": {
            "type": "string",
            "enum": [
                "billing",
                "bug",
                "account",
                "shipping",
                "feature_request",
                "other",
            ],
        },
        "urgency": {"type": "integer"},
        "sentiment": {"type": "string", "enum": ["negative", "neutral", "positive"]},
        "summary": {"type": "string"},
        "needs_human": {"type": "boolean"},
    },
    "required": ["category", "urgency", "sentiment", "summary", "needs_human"],
}
LANGUAGE = {"type": "string", "enum": ["en", "de", "fr"]}
RICHER = TRIAGE | {
    "properties": {**TRIAGE["properties"], "language": LANGUAGE},  # type: ignore[dict-item]
    "required": [*TRIAGE["required"], "language"],
}
COLUMNS = [*TRIAGE["properties"], "language"]
COMPLAINTS = (
    "my invoice is wrong",
    "the app crashes",
    "I cannot log in",
    "where is my parcel",
    "please add dark mode",
)


def partition(night: int) -> str:
    return f"dt=2026-11-{night:02d}"


def open_tickets(night: int) -> Rows:
    """Return a night's snapshot: most of the tickets of the night before, some written to again, some new."""
    return {
        f"T-{n}": f"{COMPLAINTS[n % 5]}, says ticket {n // 2}, {'again' if n % 7 == night % 7 else 'once'}"
        for n in range(night * 4, night * 4 + 30)
    }


@dataclass(frozen=True)
class NearWorld(RealWorld):
    """The emulator behind one client, and a lake in memory: the stores' own suite proves it equal to S3."""

    bucket: MemoryBucket = field(default_factory=MemoryBucket)

    def store(self, url: str) -> Store:
        return MemoryStore(url, self.bucket)

    def api(self) -> Batches:
        return _api(self.emulator)


@cache
def _api(url: str) -> Batches:
    return RealWorld("", url).api()


@dataclass
class Lake:
    """The source, and what of it is known here: partitions with their files' rows."""

    store: Store
    files: dict[int, dict[str, Rows]] = field(default_factory=dict)

    def write(
        self, night: int, rows: Rows, *, name: str = "part-0", replace: bool = True
    ) -> None:
        """Write a file of a night's input, in the place of all others unless it is to be added."""
        folder = f"{partition(night)}/"
        if replace:
            self.store.remove([entry.key for entry in self.store.list(folder)])
            self.files[night] = {}
        self.files[night][name] = rows
        texts = {
            "id": pa.array(rows, pa.string()),
            "text": pa.array(rows.values(), pa.string()),
        }
        put(self.store, f"{folder}{name}.parquet", pa.table(texts))

    def rows(self, night: int) -> Rows:
        return {
            key: text
            for rows in self.files[night].values()
            for key, text in rows.items()
        }


@dataclass
class Office:
    """Who runs the nights, loads the warehouse, and looks at it in the morning."""

    world: RealWorld
    emulator: Emulator
    lake: Lake
    database: duckdb.DuckDBPyConnection
    schema: dict[str, Any] = field(default_factory=lambda: TRIAGE)
    published: dict[int, dict[str, Any]] = field(default_factory=dict)
    asked: set[tuple[str, str]] = field(default_factory=set)
    runs: int = 0

    def flow(self, night: int) -> Flow:
        """Begin a run of a night, as the DAG would."""
        self.runs += 1
        asked = settings(
            partition(night),
            prompt="Ticket: {{ text }}",
            answer_schema=self.schema,
            min_answered=0.95,
            attempts=1,
            allow_empty=True,
        )
        return Flow(self.world, asked, buyer=f"nightly/{self.runs}")

    def run(self, night: int) -> Report:
        """Run a night to its end and load what it published."""
        report = self.flow(night).run()
        load(
            self.world.store(TARGET),
            partition(night),
            Loading("triage"),
            DuckWarehouse(self.database),
        )
        self.published[night] = self.schema
        self.asked |= {
            (text, str(self.schema)) for text in self.lake.rows(night).values()
        }
        return report

    def crash(self, night: int, after: int) -> None:
        """Begin a night and leave it for dead after so many steps."""
        steps = self.flow(night).steps()
        for _ in range(after):
            next(steps)
        self.asked |= {
            (text, str(self.schema)) for text in self.lake.rows(night).values()
        }

    def warehouse(self) -> set[tuple[Any, ...]]:
        """Read what the warehouse holds."""
        has = {
            row[0]
            for row in self.database.execute(
                "SELECT column_name FROM duckdb_columns()"
            ).fetchall()
        }
        wanted = ", ".join(
            name if name in has else f"NULL AS {name}" for name in COLUMNS
        )
        return set(
            self.database.execute(
                f"SELECT _partition, id, _status, {wanted} FROM triage"
            ).fetchall()
        )

    def from_scratch(self) -> set[tuple[Any, ...]]:
        """Compute the same from the lake alone, with the model's answers and none of the ledger."""
        return {
            (
                partition(night),
                key,
                "answered",
                *(answer(text, night_schema is RICHER).get(name) for name in COLUMNS),
            )
            for night, night_schema in self.published.items()
            for key, text in self.lake.rows(night).items()
        }


@cache
def answer(text: str, richer: bool) -> dict[str, Any]:
    """Return what the model says of a text."""
    found: dict[str, Any] = tickets(0).instance(
        api_schema(RICHER if richer else TRIAGE), f"Ticket: {text}"
    )
    return found


@pytest.fixture
def office(tmp_path: Any) -> Iterator[Office]:
    quick = Settings(
        pace=BatchDuration(seconds=0.02),
        responder="nightbatch.emulator.responders.builtin:tickets",
    )
    with (
        running(quick) as emulator,
        duckdb.connect(str(tmp_path / "warehouse.duckdb")) as database,
    ):
        world = NearWorld("", emulator.url)
        yield Office(world, emulator, Lake(world.store(SOURCE)), database)


def nothing_there(office: Office, night: int) -> None:
    """A night whose input is late is red, and buys nothing."""
    with pytest.raises(SourceError, match="nothing below"):
        office.run(night)


def api_down(office: Office, night: int) -> None:
    """A night on which every answer is an error is red, and publishes nothing."""
    office.lake.write(night, open_tickets(night))
    office.emulator.faults({"where": "row", "what": "errored"})
    with pytest.raises(RunFailed):
        office.run(night)
    office.emulator.clear_faults()


def worker_dies(office: Office, night: int) -> None:
    """A night ends between landing and publishing."""
    office.lake.write(night, open_tickets(night))
    office.crash(night, after=4)


def schema_changes(office: Office, night: int) -> None:
    """From this night on one more thing is asked."""
    office.schema = RICHER
    ordinary(office, night)


def ordinary(office: Office, night: int) -> None:
    office.lake.write(night, open_tickets(night))
    office.run(night)


def backfill(*nights: int) -> Callable[[Office], None]:
    return lambda office: [office.run(night) for night in nights] and None


def late(night: int) -> Callable[[Office], None]:
    def arrives(office: Office) -> None:
        office.lake.write(night, open_tickets(night))
        office.run(night)

    return arrives


def grows(night: int) -> Callable[[Office], None]:
    def grow(office: Office) -> None:
        office.lake.write(
            night, {"T-late": "a parcel that came late"}, name="part-1", replace=False
        )
        assert office.run(night)["bought"] == 1

    return grow


def changes(night: int) -> Callable[[Office], None]:
    def change(office: Office) -> None:
        rows = dict(office.lake.rows(night))
        changed = {key: f"{text}, and is angry" for key, text in list(rows.items())[:5]}
        office.lake.write(night, rows | changed)
        assert office.run(night)["bought"] == len(set(changed.values()))

    return change


def vanishes(night: int, left: int) -> Callable[[Office], None]:
    def vanish(office: Office) -> None:
        office.lake.write(night, dict(list(office.lake.rows(night).items())[:left]))
        assert office.run(night)["bought"] == 0

    return vanish


def again(night: int) -> Callable[[Office], None]:
    def repeat(office: Office) -> None:
        assert office.run(night)["bought"] == 0

    return repeat


Happening = Callable[[Office], None]
FORTNIGHT: Sequence[tuple[Callable[[Office, int], None], Sequence[Happening]]] = (
    (ordinary, []),
    (ordinary, []),
    (ordinary, [again(2)]),
    (nothing_there, []),
    (ordinary, [grows(3)]),
    (ordinary, [late(4)]),
    (api_down, [changes(5)]),
    (worker_dies, [vanishes(6, left=10)]),
    (ordinary, [backfill(7, 8)]),
    (ordinary, [vanishes(9, left=0)]),
    (schema_changes, []),
    (ordinary, [grows(11)]),
    (ordinary, [changes(12), again(13)]),
    (ordinary, [vanishes(13, left=3), again(14)]),
)


def test_every_morning_the_warehouse_is_what_a_computation_from_scratch_makes(
    office: Office,
) -> None:
    for night, (nightly, happenings) in enumerate(FORTNIGHT, 1):
        nightly(office, night)
        for happening in happenings:
            happening(office)
        assert office.warehouse() == office.from_scratch(), (
            f"the morning after night {night}"
        )
        books = office.emulator.books()["bought"]
        assert (books["twice"], books["distinct"]) == (0, len(office.asked)), (
            f"the bill after night {night}"
        )
    assert sorted(office.published) == list(range(1, 15))
    columns = DuckWarehouse(office.database).columns("triage")
    assert columns["language"] == "varchar"
    costs = office.database.execute("SELECT sum(_cost_usd) FROM triage").fetchone()
    assert costs is not None
    assert costs[0] <= office.emulator.books()["cost_usd"] + 1e-9
