"""What an Iceberg table takes, by a SQL catalog over a store in memory: odd types, new types, runs at the same time."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog, load_catalog

from nightbatch.columnar import parquet
from nightbatch.errors import TargetError
from nightbatch.io import iceberg_files
from nightbatch.io.iceberg import IcebergTable
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.publish.targets.table_target import TableTarget

NAME = "lake.odd"
AT = datetime(2026, 11, 20, 1, 2, 3, 456000)


class Home:
    """A catalog, and how a night is published into a table of it."""

    def __init__(self, folder: Path) -> None:
        self.bucket = MemoryBucket()
        uri = f"sqlite:///{folder}/catalog.db"
        self.catalog: Catalog = load_catalog(
            "home",
            type="sql",
            uri=uri,
            warehouse="s3://lake/ice",
            **iceberg_files.properties(self.open),
        )
        self.table = IcebergTable(self.catalog, NAME, self.open)

    def open(self, url: str) -> MemoryStore:
        return MemoryStore(url, self.bucket)

    def publish(self, partition: str, table: pa.Table) -> None:
        shelf = TableTarget(self.table, partition)
        with ExitStack() as stack:
            store, schema = shelf.open(table.schema)
            sheet = stack.enter_context(
                parquet.ParquetUpload(store, f"{partition}/part-0.parquet", schema)
            )
            for batch in table.to_batches():
                sheet.write(shelf.fill(batch, schema))
            sheet.close()
            shelf.replace(store, [sheet], {"profile": {}, "columns": {}}, schema)

    def held(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            self.catalog.load_table(NAME).scan().to_arrow().to_pylist()
        )
        return sorted(found, key=lambda row: str(row["dt"]))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_columns_that_a_table_has_no_type_for_are_held_as_what_they_are_worth(
    home: Home,
) -> None:
    nested = pa.struct(
        [
            ("at", pa.list_(pa.timestamp("ns"))),
            ("of", pa.dictionary(pa.int8(), pa.string())),
        ]
    )
    values = {
        "ns": pa.array([AT], pa.timestamp("ns")),
        "zone": pa.array(
            [AT.replace(tzinfo=UTC)], pa.timestamp("ms", "Pacific/Auckland")
        ),
        "word": pa.array(["a"]).dictionary_encode(),
        "u8": pa.array([255], pa.uint8()),
        "u32": pa.array([2**32 - 1], pa.uint32()),
        "u64": pa.array([2**64 - 1], pa.uint64()),
        "day": pa.array([date(2026, 11, 20)], pa.date64()),
        "clock": pa.array([1000], pa.time32("ms")),
        "nested": pa.array([{"at": [AT], "of": "x"}], nested),
        "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.uint8())),
    }
    home.publish("dt=2026-11-20", pa.table(values))
    (row,) = home.held()
    assert (row["ns"], row["zone"]) == (AT, AT.replace(tzinfo=UTC))
    assert (row["word"], row["u8"], row["u32"], row["u64"]) == (
        "a",
        255,
        2**32 - 1,
        Decimal(2**64 - 1),
    )
    assert (row["day"], str(row["clock"])) == (date(2026, 11, 20), "00:00:01")
    assert (row["nested"], row["map"]) == ({"at": [AT], "of": "x"}, [("k", 1)])


def test_a_column_without_a_type_joins_once_it_has_one(home: Home) -> None:
    home.publish("dt=2026-11-20", pa.table({"n": [1], "note": pa.nulls(1)}))
    home.publish("dt=2026-11-21", pa.table({"n": [2], "note": ["x"]}))
    assert [(row["n"], row["note"]) for row in home.held()] == [(1, None), (2, "x")]


def test_a_nested_column_gains_fields(home: Home) -> None:
    home.publish("dt=2026-11-20", pa.table({"who": [{"a": 1}]}))
    home.publish("dt=2026-11-21", pa.table({"who": [{"a": 2, "b": "x"}]}))
    assert [row["who"] for row in home.held()] == [
        {"a": 1, "b": None},
        {"a": 2, "b": "x"},
    ]


def test_a_type_that_grows_is_widened_and_older_files_are_read_as_before(
    home: Home,
) -> None:
    for day, (value, kind) in enumerate(
        [(1, pa.int32()), (2**40, pa.int64()), (3, pa.int16())], 20
    ):
        home.publish(f"dt=2026-11-{day}", pa.table({"n": pa.array([value], kind)}))
    assert [row["n"] for row in home.held()] == [1, 2**40, 3]


def test_a_type_that_became_another_is_red_and_the_table_stays(home: Home) -> None:
    home.publish("dt=2026-11-20", pa.table({"n": [1]}))
    with pytest.raises(TargetError, match="Cannot change column type: n"):
        home.publish("dt=2026-11-21", pa.table({"n": ["many"]}))
    assert [row["n"] for row in home.held()] == [1]


@pytest.mark.parametrize(
    "kind", [pa.duration("s"), pa.decimal256(50, 2), pa.list_(pa.duration("s"))]
)
def test_a_type_that_no_column_can_hold_is_refused_by_name(
    home: Home, kind: pa.DataType
) -> None:
    with pytest.raises(TargetError, match="column 'odd' is"):
        home.publish("dt=2026-11-20", pa.table({"odd": pa.nulls(1, kind)}))
    assert home.bucket.objects == {}


def test_a_table_that_another_run_creates_at_the_same_time_is_taken_as_it_is(
    home: Home,
) -> None:
    home.publish("dt=2026-11-20", pa.table({"n": [1]}))
    home.table._create(pa.schema([("n", pa.int64()), ("dt", pa.date32())]), ["dt"])
    assert [row["n"] for row in home.held()] == [1]


def test_nights_that_are_published_at_the_same_time_are_all_there(home: Home) -> None:
    home.publish("dt=2026-11-20", pa.table({"n": [0]}))
    days, start, failures = (21, 22, 23), threading.Barrier(3), list[BaseException]()

    def publish(day: int) -> None:
        start.wait(30)
        try:
            home.publish(f"dt=2026-11-{day}", pa.table({"n": [day]}))
        except BaseException as error:  # a thread's end tells nobody
            failures.append(error)

    threads = [threading.Thread(target=publish, args=(day,)) for day in days]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert [row["n"] for row in home.held()] == [0, *days]
