"""A partition is published whole or not at all, typed, and readable together with those before it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from nightbatch.errors import RunFailed
from nightbatch.io.memory import MemoryStore, MemoryUpload
from nightbatch.publish.schema_changes import changes

TARGET = "s3://lake/triage/"
SCHEMA = {
    "type": "object",
    "properties": {"mood": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["mood", "score"],
}
OURS = {
    "_request_id": pa.string(),
    "_status": pa.string(),
    "_error": pa.string(),
    "_model": pa.string(),
    "_stop_reason": pa.string(),
    "_batch_id": pa.string(),
    "_input_tokens": pa.int64(),
    "_output_tokens": pa.int64(),
    "_cost_usd": pa.float64(),
}


def success(night: Any, partition: str = "") -> dict[str, Any]:
    folder = f"{TARGET}{partition}/" if partition else TARGET
    told: dict[str, Any] = json.loads(night.bucket.objects[f"{folder}_SUCCESS"])
    return told


def test_every_column_has_its_type_also_when_all_null(night: Any) -> None:
    night.run(answer_schema=SCHEMA)
    schema = night.table().schema
    assert {name: schema.field(name).type for name in OURS} == OURS
    assert night.table()["_error"].null_count == 10
    assert [schema.field(name).type for name in ("mood", "score")] == [
        pa.string(),
        pa.int64(),
    ]


def test_an_empty_partition_is_published_empty_and_typed(night: Any) -> None:
    night.put(
        "a.parquet",
        pa.table({"id": pa.array([], pa.int64()), "body": pa.array([], pa.string())}),
    )
    report = night.run(answer_schema=SCHEMA)
    assert (report["rows"], report["requests"], report["cost_usd"]) == (0, 0, 0)
    assert night.table().num_rows == 0
    assert night.table().schema.field("score").type == pa.int64()
    assert success(night)["rows"] == 0
    assert night.bought == 0


def test_success_tells_counts_cost_columns_and_files(night: Any) -> None:
    report = night.run()
    told = success(night)
    assert {name: told[name] for name in ("rows", "by_status", "cost_usd")} == {
        "rows": 10,
        "by_status": {"answered": 10},
        "cost_usd": report["cost_usd"],
    }
    assert len(told["schema_hash"]) == 16
    assert list(told["columns"])[:2] == ["id", "answer"]
    assert [TARGET + name for name in told["files"]] == [
        n for n in night.bucket.objects if n.startswith(f"{TARGET}p")
    ]


def test_too_few_answers_publish_nothing_and_say_how_many_of_what(night: Any) -> None:
    night.emulator.faults(
        {"where": "row", "what": "expired", "match": {"text": "invoice"}}
    )
    message = (
        r"8 of 10 rows were answered, below min_answered=0\.95: 8 answered, 2 expired\. "
        r"The most common error: expired;"
    )
    with pytest.raises(RunFailed, match=message):
        night.run()
    assert [name for name in night.bucket.objects if name.startswith(TARGET)] == []
    night.emulator.clear_faults()
    assert night.run("second")["bought"] == 2


def test_the_most_common_error_is_named_without_the_api_s_words_and_without_rows(
    night: Any,
) -> None:
    told = {
        "where": "row",
        "what": "errored",
        "type": "invalid_request_error",
        "message": "temperature: too hot",
    }
    night.emulator.faults(told)
    with pytest.raises(
        RunFailed, match=r"most common error: invalid_request_error at temperature; "
    ) as raised:
        night.run()
    assert "ticket" not in str(raised.value)


def test_a_run_in_which_nothing_was_answered_is_red_whatever_is_asked(
    night: Any,
) -> None:
    night.emulator.faults({"where": "row", "what": "refusal"})
    with pytest.raises(RunFailed, match="0 of 10 rows were answered"):
        night.run(min_answered=0)


def test_a_rerun_with_nothing_new_leaves_the_partition_untouched(night: Any) -> None:
    night.run()
    before = {
        name: body
        for name, body in night.bucket.objects.items()
        if name.startswith(TARGET)
    }
    report = night.run("second")
    after = {
        name: body
        for name, body in night.bucket.objects.items()
        if name.startswith(TARGET)
    }
    assert after == before
    assert (report["bought"], report["reused"]) == (0, 10)


def test_a_rerun_with_something_new_leaves_no_stale_file(
    night: Any, make_tickets: Any
) -> None:
    night.run()
    first = success(night)["files"]
    night.put("a.parquet", make_tickets(11))
    night.run("second")
    parts = [
        name.removeprefix(TARGET)
        for name in night.bucket.objects
        if name.startswith(f"{TARGET}part-")
    ]
    assert parts == success(night)["files"]
    assert parts != first
    assert night.table().num_rows == 11


class Dying(MemoryStore):
    """A store whose process dies at its n-th change."""

    def __init__(self, url: str, bucket: Any, lives: list[int]) -> None:
        super().__init__(url, bucket)
        self.lives = lives

    def _live(self) -> None:
        self.lives[0] -= 1
        if self.lives[0] < 0:
            raise KeyboardInterrupt

    def create(self, key: str, body: bytes) -> bool:
        self._live()
        return super().create(key, body)

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._live()
            super().remove([key])


def test_dying_at_any_moment_leaves_no_success_beside_half_the_files(
    night: Any, make_tickets: Any
) -> None:
    night.run()
    night.put("a.parquet", make_tickets(12))
    ref = night.prepare("second")
    night.shards(ref, 1)
    objects = dict(night.bucket.objects)
    for lives in range(20):
        night.bucket.objects = dict(objects)
        left = [lives]
        night.store = lambda url, left=left: (
            Dying(url, night.bucket, left)
            if url == TARGET
            else MemoryStore(url, night.bucket)
        )
        try:
            night.publish(ref)
            break
        except KeyboardInterrupt:
            names = [name for name in night.bucket.objects if name.startswith(TARGET)]
            if f"{TARGET}_SUCCESS" in names:
                assert {TARGET + name for name in success(night)["files"]} == set(
                    names
                ) - {f"{TARGET}_SUCCESS"}
    assert lives == 4
    assert night.table().num_rows == 12


class Watched(MemoryStore):
    """A store that tells which uploads were given up."""

    def __init__(self, url: str, bucket: Any, given_up: list[str]) -> None:
        super().__init__(url, bucket)
        self.given_up = given_up

    def upload(self, key: str) -> MemoryUpload:
        return WatchedUpload(self, key)


class WatchedUpload(MemoryUpload):
    """An upload that tells its store when it is given up."""

    def abort(self) -> None:
        self._store.given_up.append(self._key)  # type: ignore[attr-defined]
        super().abort()


def test_files_that_are_not_published_are_given_up(night: Any) -> None:
    given_up: list[str] = []
    night.store = lambda url: Watched(url, night.bucket, given_up)
    night.run()
    assert given_up == []
    night.run("second")
    assert given_up == success(night)["files"]


def test_changes_of_columns_are_named() -> None:
    before, after = (
        {"id": "int64", "a": "string", "b": "int64"},
        {"id": "int64", "b": "double", "c": "bool"},
    )
    assert changes(before, after) == [
        "c is new (bool)",
        "a is gone (was string)",
        "b is double, was int64",
    ]


@pytest.fixture
def evolved(night: Any, tmp_path: Path) -> tuple[dict[str, Any], Path]:
    """Publish two partitions: the second with one answer field more and one kept column less."""
    rows = [{"id": n, "note": f"n{n}", "body": f"text {n}"} for n in range(3)]
    night.put("dt=1/a.parquet", rows)
    night.put("dt=2/a.parquet", rows)
    night.run("first", partition="dt=1", keep=["note"], answer_schema=SCHEMA)
    more = {
        **SCHEMA,
        "properties": {**SCHEMA["properties"], "urgent": {"type": "boolean"}},
    }  # type: ignore[dict-item]
    report = night.run("second", partition="dt=2", answer_schema=more)
    for name, body in night.bucket.objects.items():
        if name.startswith(TARGET):
            path = tmp_path / name.removeprefix(TARGET)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
    return report, tmp_path


def test_a_new_answer_field_and_a_dropped_column_are_named(evolved: Any) -> None:
    assert evolved[0]["schema_changes"] == [
        "urgent is new (bool)",
        "note is gone (was string)",
    ]


def test_duckdb_reads_old_and_new_partitions_together(evolved: Any) -> None:
    query = (
        "SELECT count(*), count(note), count(DISTINCT dt), typeof(any_value(urgent)) "
        f"FROM read_parquet('{evolved[1]}/*/*.parquet', union_by_name = true, hive_partitioning = true)"
    )
    assert duckdb.sql(query).fetchall() == [(6, 3, 2, "BOOLEAN")]


def test_pyarrow_reads_old_and_new_partitions_together(evolved: Any) -> None:
    paths = sorted(str(path) for path in evolved[1].rglob("*.parquet"))
    schema = pa.unify_schemas([pq.read_schema(path) for path in paths])
    table = ds.dataset(paths, schema=schema).to_table()
    assert (
        table.num_rows,
        table["note"].null_count,
        table.schema.field("urgent").type,
    ) == (6, 3, pa.bool_())


def test_pandas_reads_old_and_new_partitions_together(evolved: Any) -> None:
    frames = [pd.read_parquet(path) for path in sorted(evolved[1].rglob("*.parquet"))]
    assert len(pd.concat(frames)) == 6
    assert {"note", "urgent", "mood"} <= set(pd.concat(frames).columns)


def test_a_rejected_row_has_its_reason_in_the_partition(night: Any) -> None:
    night.put(
        "a.parquet",
        [{"id": n, "body": "" if n == 3 else f"text {n}"} for n in range(30)],
    )
    report = night.run(prompt="{{ body }}")
    row = night.table().to_pylist()[3]
    assert (row["_status"], row["_error"]) == (
        "rejected",
        "the prompt is empty after rendering",
    )
    assert row["_cost_usd"] == 0
    assert report["by_status"] == {"answered": 29, "rejected": 1}


def test_files_are_plain_parquet(night: Any) -> None:
    night.run()
    body = next(
        body
        for name, body in night.bucket.objects.items()
        if name.startswith(f"{TARGET}part-")
    )
    assert pq.ParquetFile(io.BytesIO(body)).metadata.num_rows == 10
