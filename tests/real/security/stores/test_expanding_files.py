"""A small Parquet file whose rows expand to gigabytes is read a little at a time, whatever its first rows look like."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest
from tests.support.expanding import LONG, expanding
from tests.support.parquet import parquet as parquet_bytes

from nightbatch.columnar import parquet
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.prepare.source import BATCH_BYTES, BATCH_ROWS, Source, read

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])
MEGABYTE = 1_000_000


def batches(body: bytes, schema: pa.Schema = SCHEMA) -> list[tuple[int, int]]:
    """Read a source of one file; return how many rows and bytes each batch has."""
    store = MemoryStore("s3://lake/in/", MemoryBucket())
    store.create("a.parquet", body)
    entries = list(store.list(""))
    source = Source(store, entries, schema)
    return [(batch.num_rows, batch.nbytes) for batch in read(source, None)]


@pytest.mark.parametrize(
    ("short", "long", "layout"),
    [
        (0, 20_000, {}),
        (64, 19_936, {}),
        (8_192, 10_000, {}),
        (40_000, 10_000, {"row_group_size": 1_000}),
        (64, 10_000, {"use_dictionary": False}),
    ],
)
def test_rows_are_read_by_what_they_take_in_memory(
    short: int, long: int, layout: dict[str, Any]
) -> None:
    body = expanding(short, long, compression="zstd", **layout)
    assert len(body) < MEGABYTE
    row_counts, sizes = zip(*batches(body), strict=True)
    assert sum(row_counts) == short + long
    assert max(sizes) <= BATCH_BYTES


def test_texts_inside_lists_are_bounded_too() -> None:
    rows = pa.array([["a"]] * 200 + [[LONG] * 10] * 1_000)
    table = pa.table({"id": range(len(rows)), "text": rows})
    sizes = [size for _, size in batches(parquet_bytes(table), table.schema)]
    step_bytes = parquet.STEP_ROWS * 10 * len(LONG)
    assert max(sizes) <= max(BATCH_BYTES, step_bytes + MEGABYTE)


def test_one_huge_row_is_read_by_itself() -> None:
    huge = "x" * 30 * MEGABYTE
    assert max(rows for rows, size in batches(expanding(0, 3, huge)) if size) == 1
    assert sum(rows for rows, _ in batches(expanding(1_000, 1, huge))) == 1_001


def test_short_rows_are_read_many_at_a_time() -> None:
    assert [rows for rows, _ in batches(expanding(3 * BATCH_ROWS, 0))] == [
        0,
        BATCH_ROWS,
        BATCH_ROWS,
        BATCH_ROWS,
    ]


def test_rows_of_our_own_files_are_not_joined_across_row_groups() -> None:
    store = MemoryStore("s3://lake/state/", MemoryBucket())
    with parquet.ParquetUpload(store, "a.parquet", SCHEMA) as sheet:
        for number in range(50):
            short = number < 40
            rows = 1_000 if short else 800
            sheet.write(
                pa.table(
                    {"id": range(rows), "text": ["a" if short else LONG] * rows},
                    schema=SCHEMA,
                )
            )
            sheet._write_group()
        sheet.close()
        sheet.commit()
    sizes = [
        (batch.num_rows, batch.nbytes)
        for batch in parquet.batches(store, "a.parquet", None, 32_768)
    ]
    assert sum(rows for rows, _ in sizes) == 48_000
    assert max(size for _, size in sizes) < 1.1 * parquet.GROUP_BYTES


PREPARE = """
from tests.support.nights.flow import SOURCE, Flow, settings
from tests.support.nights.memory import MemoryWorld
from tests.support.expanding import expanding


def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


world = MemoryWorld()
world.store(SOURCE).create("dt=1/a.parquet", expanding(200, 25_000))
before = peak()
ref = Flow(world, settings(keep=["text"])).prepare()
print(ref.rows, (peak() - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_preparing_half_a_gigabyte_out_of_a_small_file_takes_little_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PREPARE],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    rows, megabytes = map(int, done.stdout.split())
    assert rows == 25_200
    assert megabytes < 400
