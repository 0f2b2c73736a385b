"""Sheets hold rows until a row group is full, and give back what is asked for, whatever they read besides."""

from __future__ import annotations

import gc
import io
from itertools import chain
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightbatch.columnar import parquet
from nightbatch.columnar.id_lookup import ID, IdRange
from nightbatch.io.memory import MemoryBucket, MemoryStore

SCHEMA = pa.schema([("n", pa.int64()), ("word", pa.string())])


def store() -> MemoryStore:
    return MemoryStore("s3://lake/state/", MemoryBucket())


def written(rows: int, group: int) -> MemoryStore:
    """Write rows in row groups of so many."""
    made = store()
    with parquet.ParquetUpload(made, "a.parquet", SCHEMA) as sheet:
        for start in range(0, rows, group):
            numbers = range(start, min(start + group, rows))
            sheet.write(
                pa.table(
                    {"n": numbers, "word": [str(n) for n in numbers]}, schema=SCHEMA
                )
            )
            sheet._write_group()
        sheet.close()
        sheet.commit()
    return made


def test_a_file_that_is_forgotten_leaves_nothing_and_its_writer_goes_in_silence() -> (
    None
):
    made = store()
    with parquet.ParquetUpload(made, "a.parquet", SCHEMA) as sheet:
        sheet.write(pa.table({"n": [1], "word": ["a"]}, schema=SCHEMA))
        sheet._write_group()
    del sheet
    gc.collect()  # what the writer says now is an error: see filterwarnings
    assert list(made.list("")) == []


@settings(suppress_health_check=list(HealthCheck))
@given(st.integers(1, 7), st.sets(st.integers(0, 39), min_size=1))
def test_rows_are_found_at_their_places(group: int, wanted: set[int]) -> None:
    numbers = np.array(sorted(wanted))
    table, places = parquet.RowGroups(written(40, group), ["word"]).rows(
        "a.parquet", numbers
    )
    assert table.take(pa.array(places)).column("word").to_pylist() == [
        str(n) for n in sorted(wanted)
    ]


def test_only_wanted_rows_are_kept() -> None:
    table, places = parquet.RowGroups(written(40, 10), ["n"]).rows(
        "a.parquet", np.array([24, 3, 20])
    )
    assert sorted(table.column("n").to_pylist()) == [3, 20, 24]
    assert table.take(pa.array(places)).column("n").to_pylist() == [24, 3, 20]


def test_a_group_that_two_reads_share_is_read_once() -> None:
    groups = parquet.RowGroups(written(40, 10), ["n"])
    first, again = groups._group("a.parquet", 1), groups._group("a.parquet", 1)
    assert again is first


@settings(suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.lists(
            st.sampled_from(["claude-haiku-4-5", "claude-sonnet-4-5", "", None]),
            min_size=1,
        ),
        min_size=1,
    ),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_repeating_words_of_many_groups_are_read_as_what_they_are(
    groups: list[list[str | None]], encoded: bool, random: Random
) -> None:
    schema, made = pa.schema({"word": pa.string()}), store()
    layout = parquet.USUAL if encoded else parquet.GroupLayout(unique=["word"])
    with parquet.ParquetUpload(made, "a.parquet", schema, layout) as sheet:
        for group in groups:
            sheet.write(pa.table({"word": group}, schema=schema))
            sheet._write_group()
        sheet.close()
        sheet.commit()
    words = list(chain.from_iterable(groups))
    wanted = random.sample(range(len(words)), random.randint(1, len(words)))
    table, places = parquet.RowGroups(made, ["word"], ["word"]).rows(
        "a.parquet", np.array(wanted)
    )
    assert pa.types.is_dictionary(table.schema.field("word").type)
    read = (
        table.combine_chunks().take(pa.array(places)).column("word").cast(pa.string())
    )
    assert read.to_pylist() == [words[number] for number in wanted]


def test_rows_of_many_writes_are_one_row_group() -> None:
    made = store()
    with parquet.ParquetUpload(made, "a.parquet", SCHEMA) as sheet:
        for n in range(100):
            sheet.write(pa.record_batch({"n": [n], "word": ["w"]}, schema=SCHEMA))
        assert sheet.rows == 100
        sheet.close()
        sheet.commit()
    opened = parquet.file(made, "a.parquet")
    assert opened.num_row_groups == 1
    assert opened.read().column("n").to_pylist() == list(range(100))


def test_a_sheet_that_is_not_committed_leaves_nothing() -> None:
    made = store()

    def cut_short() -> None:
        with parquet.ParquetUpload(made, "a.parquet", SCHEMA) as sheet:
            sheet.write(pa.record_batch({"n": [1], "word": ["w"]}, schema=SCHEMA))
            raise KeyError("cut short")

    with pytest.raises(KeyError):
        cut_short()
    assert list(made.list("")) == []


def test_groups_of_an_ordered_column_are_passed_over_by_its_bounds() -> None:
    made, schema = store(), pa.schema([pa.field("id", ID)])
    with parquet.ParquetUpload(
        made, "ids.parquet", schema, parquet.GroupLayout(plain=True, ordered="id")
    ) as sheet:
        for head in (0, 100, 200):
            sheet.write(
                pa.table(
                    {"id": pa.array([bytes([head + n]) * 20 for n in range(3)], ID)},
                    schema=schema,
                )
            )
            sheet._write_group()
        sheet.close()
        sheet.commit()
    span = IdRange(101 << 56, 150 << 56)
    read = [
        table.column("id").to_pylist()
        for table in parquet.groups(made, "ids.parquet", "id", span.overlaps)
    ]
    assert read == [[bytes([100 + n]) * 20 for n in range(3)]]


def test_many_small_writes_are_held_until_a_row_group_is_full() -> None:
    small = store()
    with parquet.ParquetUpload(small, "small.parquet", SCHEMA) as upload:
        for number in range(parquet.GROUP_ROWS // 64 + 1):
            upload.write(pa.record_batch([[number] * 64, ["a"] * 64], schema=SCHEMA))
        upload.close()
        upload.commit()
    footer = pq.ParquetFile(io.BytesIO(small.get("small.parquet"))).metadata
    sizes = [footer.row_group(at).num_rows for at in range(footer.num_row_groups)]
    assert sizes == [parquet.GROUP_ROWS, 64]
