"""A published partition becomes rows of a table, the same way in DuckDB and PostgreSQL."""

from __future__ import annotations

import io
import json
import traceback
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightbatch.airflow.warehouses import warehouse
from nightbatch.errors import (
    LoadError,
    NotReconciled,
    Republished,
    SettingsError,
    StoreError,
    TargetError,
    WarehouseRefused,
)
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.load.load import load
from nightbatch.load.loading import Loading
from nightbatch.load.sql_types import both
from nightbatch.load.warehouse import Statement

FIRST, SECOND = "dt=2026-11-20", "dt=2026-11-21"
TRIAGE = Loading("triage")
MERGED = Loading("triage", mode="merge", key=["ticket_id"])


class Target:
    """A target in memory, published into as `publish` does."""

    def __init__(self) -> None:
        self.store = MemoryStore("s3://lake/triage/", MemoryBucket())
        self.round = 0

    def publish(
        self, partition: str, *tables: pa.Table, rows: int | None = None
    ) -> None:
        self.round += 1
        folder = f"{partition}/" if partition else ""
        self.store.remove([entry.key for entry in self.store.list(folder)])
        names = [
            f"{folder}part-{number:05d}-{self.round:012x}.parquet"
            for number in range(len(tables))
        ]
        for name, table in zip(names, tables, strict=True):
            out = io.BytesIO()
            pq.write_table(table, out)
            self.store.create(name, out.getvalue())
        count = sum(table.num_rows for table in tables) if rows is None else rows
        marker = {"files": names, "rows": count, "snapshot": f"s{self.round}"}
        self.store.create(f"{folder}_SUCCESS", json.dumps(marker).encode())


def tickets(**urgency: int | None) -> pa.Table:
    columns = {
        "ticket_id": list(urgency),
        "urgency": pa.array(urgency.values(), pa.int64()),
    }
    return pa.table({**columns, "_status": ["answered"] * len(urgency)})


def held(house: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = house.query(
        "SELECT _partition, ticket_id, urgency FROM triage ORDER BY 1, 2"
    )
    return found


@pytest.fixture
def target() -> Target:
    return Target()


def test_the_table_is_created_with_typed_columns_and_the_partition(
    house: Any, target: Target
) -> None:
    target.publish(FIRST, tickets(a=1, b=None), tickets(c=3))
    done = load(target.store, FIRST, TRIAGE, house.warehouse)
    assert done == {
        "table": "triage",
        "partition": FIRST,
        "rows": 3,
        "added": [],
        "snapshot": "s1",
    }
    assert held(house) == [(FIRST, "a", 1), (FIRST, "b", None), (FIRST, "c", 3)]
    assert house.query("SELECT DISTINCT dt FROM triage") == [(date(2026, 11, 20),)]


@pytest.mark.parametrize("loading", [TRIAGE, MERGED])
def test_loading_twice_equals_loading_once(
    house: Any, target: Target, loading: Loading
) -> None:
    target.publish(FIRST, tickets(a=1, b=2))
    for _ in range(2):
        load(target.store, FIRST, loading, house.warehouse)
    assert held(house) == [(FIRST, "a", 1), (FIRST, "b", 2)]


@pytest.mark.parametrize("loading", [TRIAGE, MERGED])
def test_a_partition_published_anew_replaces_its_rows_and_no_others(
    house: Any, target: Target, loading: Loading
) -> None:
    target.publish(FIRST, tickets(a=1, b=2, gone=5))
    target.publish(SECOND, tickets(z=4))
    for partition in (FIRST, SECOND):
        load(target.store, partition, loading, house.warehouse)
    target.publish(FIRST, tickets(a=3, late=1))
    load(target.store, FIRST, loading, house.warehouse)
    assert held(house) == [(FIRST, "a", 3), (FIRST, "late", 1), (SECOND, "z", 4)]


def test_an_empty_partition_leaves_no_rows_of_it(house: Any, target: Target) -> None:
    target.publish(FIRST, tickets(a=1))
    load(target.store, FIRST, TRIAGE, house.warehouse)
    target.publish(FIRST, tickets())
    assert load(target.store, FIRST, TRIAGE, house.warehouse)["rows"] == 0
    assert held(house) == []


def test_a_merge_keeps_one_row_for_a_key_that_of_the_newest_partition(
    house: Any, target: Target
) -> None:
    target.publish(FIRST, tickets(a=1, b=1))
    target.publish(SECOND, tickets(b=2, c=2))
    for partition in (SECOND, FIRST, SECOND, FIRST):
        load(target.store, partition, MERGED, house.warehouse)
    assert held(house) == [(FIRST, "a", 1), (SECOND, "b", 2), (SECOND, "c", 2)]


def test_new_columns_are_added_and_old_ones_stay(house: Any, target: Target) -> None:
    target.publish(FIRST, tickets(a=1))
    load(target.store, FIRST, TRIAGE, house.warehouse)
    target.publish(
        SECOND,
        tickets(b=2).append_column("mood", pa.array(["calm"])).drop_columns("urgency"),
    )
    assert load(target.store, SECOND, TRIAGE, house.warehouse)["added"] == ["mood"]
    assert house.query("SELECT ticket_id, urgency, mood FROM triage ORDER BY 1") == [
        ("a", 1, None),
        ("b", None, "calm"),
    ]


def test_a_type_that_grows_is_widened_and_one_that_shrinks_is_held(
    house: Any, target: Target
) -> None:
    for partition, kind in (
        (FIRST, pa.int32()),
        (SECOND, pa.int64()),
        ("dt=2026-11-22", pa.int16()),
    ):
        value = 2**40 if kind == pa.int64() else 7
        target.publish(partition, pa.table({"n": pa.array([value], kind)}))
        load(target.store, partition, TRIAGE, house.warehouse)
    assert house.query("SELECT n FROM triage ORDER BY 1") == [(7,), (7,), (2**40,)]


def test_a_type_that_became_another_is_refused_and_the_table_stays(
    house: Any, target: Target
) -> None:
    target.publish(FIRST, tickets(a=1))
    load(target.store, FIRST, TRIAGE, house.warehouse)
    changed = pa.table({"ticket_id": ["a"], "urgency": ["high"], "new": [1]})
    target.publish(FIRST, changed)
    with pytest.raises(TargetError, match="column 'urgency' is bigint"):
        load(target.store, FIRST, TRIAGE, house.warehouse)
    assert held(house) == [(FIRST, "a", 1)]
    assert "new" not in house.warehouse.columns("triage")


def test_rows_that_do_not_tally_with_the_marker_are_not_loaded(
    house: Any, target: Target
) -> None:
    target.publish(FIRST, tickets(a=1, b=2))
    load(target.store, FIRST, TRIAGE, house.warehouse)
    target.publish(FIRST, tickets(a=9), rows=2)
    with pytest.raises(NotReconciled, match="files hold 1 rows, but _SUCCESS says 2"):
        load(target.store, FIRST, TRIAGE, house.warehouse)
    assert held(house) == [(FIRST, "a", 1), (FIRST, "b", 2)]


def test_a_merge_that_repeats_a_key_is_not_loaded(house: Any, target: Target) -> None:
    target.publish(FIRST, tickets(a=1), tickets(a=2))
    with pytest.raises(NotReconciled, match="different keys"):
        load(target.store, FIRST, MERGED, house.warehouse)
    assert house.warehouse.columns("triage") == {}


def test_a_partition_that_is_being_replaced_is_left_for_another_try(
    house: Any, target: Target
) -> None:
    target.publish(FIRST, tickets(a=1))
    target.store.remove([f"{FIRST}/_SUCCESS"])
    with pytest.raises(Republished):
        load(target.store, FIRST, TRIAGE, house.warehouse)


class Restless(MemoryStore):
    """A target that is published again as soon as its marker has been read."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.store.url, target.store._bucket)
        self.target, self.rest = target, False

    def get(self, key: str) -> bytes:
        read = super().get(key)
        if not self.rest:
            self.rest = True
            self.target.publish(FIRST, tickets(a=2))
        return read


def test_a_partition_published_again_during_the_load_is_left_for_another_try(
    house: Any, target: Target
) -> None:
    target.publish(FIRST, tickets(a=1))
    restless = Restless(target)
    with pytest.raises(LoadError):
        load(restless, FIRST, TRIAGE, house.warehouse)
    load(restless, FIRST, TRIAGE, house.warehouse)
    assert held(house) == [(FIRST, "a", 2)]


def test_odd_values_arrive_as_they_are(house: Any, target: Target) -> None:
    at = datetime(2026, 11, 20, 1, 2, 3, 456000, tzinfo=UTC)
    row = {
        "text": ['a "quoted", line\nand \\ ü 🎫', "", None],
        "amount": pa.array(
            [Decimal("12.30"), None, Decimal("-0.01")], pa.decimal128(10, 2)
        ),
        "seen": pa.array([at, None, at], pa.timestamp("ms", "UTC")),
        "day": pa.array([date(2026, 1, 2), None, None]),
        "yes": [True, None, False],
        "share": [0.5, None, -1e300],
        "kind": pa.array(["x", None, "y"]).dictionary_encode(),
        "raw": pa.array([b"\0\xff", None, b""]),
        "Odd name; DROP": [1, 2, None],
    }
    target.publish("", pa.table(row))
    load(target.store, "", Loading("mart.odd"), house.warehouse)
    found = house.query(
        'SELECT text, amount, seen, day, yes, share, kind, raw, "Odd name; DROP" FROM mart.odd'
    )
    plain = [
        tuple(
            bytes(value) if isinstance(value, memoryview) else value for value in line
        )
        for line in found
    ]
    expected = zip(*(pa.table(row).to_pydict().values()), strict=True)
    assert sorted(plain, key=str) == sorted(expected, key=str)


def test_nested_columns_are_structs_in_duckdb_and_json_in_postgres(
    house: Any, target: Target
) -> None:
    target.publish(
        "",
        pa.table(
            {
                "tags": [["a", "b"], None, []],
                "who": [{"name": "x\0y"}, {"name": None}, None],
            }
        ),
    )
    load(target.store, "", TRIAGE, house.warehouse)
    path = "who.name" if house.kind == "duckdb" else "who ->> 'name'"
    names = {
        row[0] and row[0].replace("\0", "\ufffd")
        for row in house.query(f"SELECT {path} FROM triage")
    }
    assert names == {"x\ufffdy", None}
    assert ["a", "b"] in [row[0] for row in house.query("SELECT tags FROM triage")]


def test_a_dictionary_column_takes_new_values(house: Any, target: Target) -> None:
    for partition, value in ((FIRST, "email"), (SECOND, "chat")):
        target.publish(
            partition, pa.table({"channel": pa.array([value]).dictionary_encode()})
        )
        load(target.store, partition, TRIAGE, house.warehouse)
    assert house.query("SELECT channel FROM triage ORDER BY 1") == [
        ("chat",),
        ("email",),
    ]


def test_a_column_without_a_type_is_left_out_until_it_has_one(
    house: Any, target: Target
) -> None:
    target.publish(FIRST, tickets(a=1).append_column("note", pa.nulls(1)))
    target.publish(SECOND, tickets(b=1).append_column("note", pa.array(["x"])))
    for partition in (FIRST, SECOND):
        load(target.store, partition, TRIAGE, house.warehouse)
    assert house.query("SELECT ticket_id, note FROM triage ORDER BY 1") == [
        ("a", None),
        ("b", "x"),
    ]


@pytest.mark.parametrize(
    ("loading", "told"),
    [
        (Loading("triage", mode="append"), "mode"),
        (Loading("triage", mode="merge"), "key"),
        (Loading("a.b.c"), "table"),
        (Loading(" "), "table"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    target: Target, loading: Loading, told: str, duck: Any
) -> None:
    with pytest.raises(SettingsError, match=told):
        load(target.store, FIRST, loading, duck.warehouse)


def test_a_marker_that_is_not_ours_is_refused(target: Target, duck: Any) -> None:
    target.store.create(f"{FIRST}/_SUCCESS", b"{}")
    with pytest.raises(TargetError, match="nightbatch did not write it"):
        load(target.store, FIRST, TRIAGE, duck.warehouse)


def test_a_partition_is_the_same_however_its_path_is_typed(
    house: Any, target: Target
) -> None:
    target.publish(FIRST, tickets(a=1))
    for typed in (FIRST, f"{FIRST}/", f"/{FIRST}"):
        assert load(target.store, typed, TRIAGE, house.warehouse)["partition"] == FIRST
    assert held(house) == [(FIRST, "a", 1)]


def test_an_older_partition_is_loaded_after_the_schema_has_changed(
    house: Any, target: Target
) -> None:
    target.publish(FIRST, tickets(a=1).append_column("gone", pa.array(["x"])))
    target.publish(SECOND, tickets(b=2).append_column("mood", pa.array(["calm"])))
    for partition in (SECOND, FIRST, FIRST):
        load(target.store, partition, TRIAGE, house.warehouse)
    assert house.query("SELECT ticket_id, gone, mood FROM triage ORDER BY 1") == [
        ("a", "x", None),
        ("b", None, "calm"),
    ]


def test_a_nested_answer_that_gains_and_loses_fields_keeps_them_all(
    house: Any, target: Target
) -> None:
    nights = {
        FIRST: [{"Name": "x", "at": 1}], SECOND: [{"Name": "y", "tags": [{"of": "b"}]}], "dt=2026-11-22": [{"at": 2}],
    }  # fmt: skip
    for partition, who in nights.items():
        target.publish(partition, pa.table({"who": [who], "one": who}))
    for partition in (*nights, FIRST):
        load(target.store, partition, TRIAGE, house.warehouse)
    whole = [
        {"Name": None, "at": None, "tags": None, **who[0]} for who in nights.values()
    ]
    found = house.query("SELECT one, who FROM triage ORDER BY _partition")
    assert [
        {"Name": None, "at": None, "tags": None, **one} for one, _ in found
    ] == whole
    assert [
        {"Name": None, "at": None, "tags": None, **who[0]} for _, who in found
    ] == whole


@pytest.mark.parametrize("names", [("mood", "Mood"), ("dt", "DT")])
def test_names_that_differ_only_in_case_are_refused(
    house: Any, target: Target, names: tuple[str, str]
) -> None:
    target.publish(FIRST, pa.table({names[0]: ["x"], names[1]: ["y"]}))
    with pytest.raises(TargetError, match="differ only in case"):
        load(target.store, FIRST, TRIAGE, house.warehouse)


def test_a_column_that_comes_back_in_another_case_is_refused_and_the_table_stays(
    house: Any, target: Target
) -> None:
    target.publish(FIRST, tickets(a=1))
    load(target.store, FIRST, TRIAGE, house.warehouse)
    target.publish(FIRST, pa.table({"Ticket_ID": ["b"]}))
    with pytest.raises(TargetError, match="'Ticket_ID' exists there as 'ticket_id'"):
        load(target.store, FIRST, TRIAGE, house.warehouse)
    assert held(house) == [(FIRST, "a", 1)]


def test_what_the_warehouse_refuses_is_told_without_a_value_of_a_row(
    house: Any, target: Target
) -> None:
    target.publish(FIRST, tickets(a_secret_key=1))
    target.publish(SECOND, tickets(a_secret_key=1))
    load(target.store, FIRST, TRIAGE, house.warehouse)
    with house.warehouse.transaction():
        house.warehouse.run(Statement("CREATE UNIQUE INDEX once ON triage (ticket_id)"))
    with pytest.raises(WarehouseRefused) as refused:
        load(target.store, SECOND, TRIAGE, house.warehouse)
    assert "secret" not in str(refused.value)
    assert "secret" not in "".join(traceback.format_exception(refused.value))
    assert held(house) == [(FIRST, "a_secret_key", 1)]


def test_what_the_warehouse_says_of_names_is_told(house: Any, target: Target) -> None:
    target.publish(FIRST, tickets(a=1))
    load(target.store, FIRST, TRIAGE, house.warehouse)
    with house.warehouse.transaction():
        house.warehouse.run(Statement("ALTER TABLE triage RENAME TO earlier"))
        house.warehouse.run(
            Statement(
                "CREATE VIEW triage AS SELECT ticket_id, count(*) AS n FROM earlier GROUP BY 1"
            )
        )
    with pytest.raises(WarehouseRefused, match=r"view|triage"):
        load(target.store, FIRST, TRIAGE, house.warehouse)


class Failing(MemoryStore):
    """A target whose second file cannot be opened."""

    def open(self, key: str) -> Any:
        if "part-00001" in key:
            raise StoreError("the store answered SlowDown.")
        return super().open(key)


def test_a_store_that_fails_while_rows_are_staged_is_told_in_its_own_words(
    house: Any, target: Target
) -> None:
    target.publish(FIRST, tickets(a=1), tickets(b=1))
    failing = Failing(target.store.url, target.store._bucket)
    with pytest.raises(StoreError, match="SlowDown"):
        load(failing, FIRST, TRIAGE, house.warehouse)
    assert house.warehouse.columns("triage") == {}


@pytest.mark.parametrize(
    ("one", "other", "holds_both"),
    [
        ("integer", "bigint", "bigint"),
        ("bigint", "smallint", "bigint"),
        ("timestamp_ms", "timestamp", "timestamp"),
        ("utinyint", "usmallint", "usmallint"),
        ("decimal(10,2)", "decimal(12,4)", "decimal(12,4)"),
        ("decimal(10,2)", "decimal(10,4)", None),
        ("varchar", "bigint", None),
        ("integer[]", "bigint[]", "bigint[]"),
        ("struct(a integer)", "struct(A bigint, b varchar)", "struct(a bigint, b varchar)"),
        ('struct("a, (b" integer)', "struct(c map(varchar, decimal(9,2)))",
         'struct("a, (b" integer, c map(varchar, decimal(9,2)))'),
        ("map(varchar, integer)[]", "map(varchar, bigint)[]", "map(varchar, bigint)[]"),
        ("struct(a integer)", "struct(a varchar)", None),
        ("struct(a integer)", "map(varchar, integer)", None),
    ],
)  # fmt: skip
def test_two_types_have_one_that_holds_both_or_none(
    one: str, other: str, holds_both: str | None
) -> None:
    assert both(one, other) == holds_both


def test_a_warehouse_file_is_not_readable_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "duckdb", "host": str(tmp_path / "own.duckdb")}
    monkeypatch.setenv("AIRFLOW_CONN_OWN", json.dumps(connection))
    with warehouse("own") as house:
        with house.transaction():
            house.run(Statement("CREATE TABLE t AS SELECT 1"))
        made = list(tmp_path.iterdir())
        assert {path.suffix for path in made} == {".duckdb", ".wal"}
        assert [path for path in made if path.stat().st_mode & 0o007] == []
