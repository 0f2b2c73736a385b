"""A value that Python cannot hold rejects its own row, with the column's name, and stops no night."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.nights.flow import Flow, put, settings
from tests.support.nights.memory import MemoryWorld

from nightbatch.columnar.unreadable import unreadable_rows
from nightbatch.messages.request import frame
from nightbatch.prepare.encoding.stager import Stager
from nightbatch.template.template import Template

YEAR_10000 = 253_402_300_800
"""Seconds since 1970."""
PROBLEM = (
    "column 'event' holds, inside a list or object, a date or time beyond the years 1 to 9999"
    " or a duration of more than 999,999,999 days"
)


def typed(kind: pa.DataType, *numbers: int) -> pa.Array:
    """Make values of a type of dates, times or durations from the numbers that stand for them."""
    number_type = pa.int32() if kind.bit_width == 32 else pa.int64()
    return pa.array(numbers, number_type).cast(kind)


BEYOND = {
    "date32": typed(pa.date32(), 0, 10_000_000, 1),
    "date32 before year 1": typed(pa.date32(), 0, -1_000_000, 1),
    "date64": typed(pa.date64(), 0, YEAR_10000 * 1_000, 0),
    "timestamp in s": typed(pa.timestamp("s"), 0, YEAR_10000, 1),
    "timestamp in ms": typed(pa.timestamp("ms"), 0, YEAR_10000 * 10**3, 1),
    "timestamp in us": typed(pa.timestamp("us", "UTC"), 0, YEAR_10000 * 10**6, 1),
    "timestamp in a zone": typed(pa.timestamp("ms", "Asia/Tokyo"), 0, (YEAR_10000 - 60) * 10**3, 1),
    "duration in s": typed(pa.duration("s"), 0, 2**62, 1),
    "duration in ms": typed(pa.duration("ms"), 0, -(2**62), 1),
}  # fmt: skip
"""Values of which the second lies beyond what Python holds."""
CONTAINERS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "struct": lambda values: pa.StructArray.from_arrays([values], ["at"]),
    "list": lambda values: pa.ListArray.from_arrays([0, 1, 2, 3], values),
    "large list": lambda values: pa.LargeListArray.from_arrays([0, 1, 2, 3], values),
    "fixed list": lambda values: pa.FixedSizeListArray.from_arrays(values, 1),
    "map": lambda values: pa.MapArray.from_arrays([0, 1, 2, 3], ["a", "b", "c"], values),
    "map of keys": lambda values: pa.MapArray.from_arrays([0, 1, 2, 3], values, ["a", "b", "c"]),
    "list in a struct": lambda values: pa.StructArray.from_arrays(
        [pa.ListArray.from_arrays([0, 1, 2, 3], values)], ["at"]
    ),
}  # fmt: skip
each_container = pytest.mark.parametrize("container", CONTAINERS)
each_value = pytest.mark.parametrize("value", BEYOND)


def batch(event: pa.Array) -> pa.RecordBatch:
    ids = [f"row-{number}" for number in range(len(event))]
    return pa.record_batch({"id": ids, "event": event})


@each_container
@each_value
def test_the_row_is_found_and_the_others_are_not(container: str, value: str) -> None:
    rows = batch(CONTAINERS[container](BEYOND[value]))
    assert unreadable_rows(rows, ["id", "event"]) == {1: "event"}
    assert unreadable_rows(rows.slice(2), ["event"]) == {}
    assert unreadable_rows(rows.slice(1), ["event"]) == {0: "event"}


@each_container
@each_value
def test_no_row_is_found_where_python_holds_all(container: str, value: str) -> None:
    readable = BEYOND[value].take(pa.array([0, 2, 0]))
    assert unreadable_rows(batch(CONTAINERS[container](readable)), ["event"]) == {}


def test_the_last_moment_of_year_9999_and_the_first_of_year_1_are_readable() -> None:
    last = typed(pa.timestamp("us"), YEAR_10000 * 10**6 - 1, -62_135_596_800 * 10**6)
    assert (
        unreadable_rows(batch(pa.ListArray.from_arrays([0, 1, 2], last)), ["event"])
        == {}
    )


def test_large_decimals_and_nanoseconds_are_readable_and_printed() -> None:
    widest = Decimal("1" * 38 + "." + "1" * 38)
    events = pa.array(
        [{"price": widest}], pa.struct([("price", pa.decimal256(76, 38))])
    )
    stager = Stager(Template("{{ event }}"), frame({}), 10_000)
    encoded = stager.encode(batch(events))
    assert encoded.problems == {}
    assert str(widest) in encoded.contents[0].as_py().decode()
    nanoseconds = typed(pa.timestamp("ns"), 2**63 - 1)
    assert (
        unreadable_rows(batch(pa.ListArray.from_arrays([0, 1], nanoseconds)), ["event"])
        == {}
    )


def test_a_dictionary_of_dates_is_printed_as_dates_are() -> None:
    days = BEYOND["date32"].dictionary_encode()
    stager = Stager(Template("{{ event }}"), frame({}), 10_000)
    contents = stager.encode(batch(days)).contents.to_pylist()
    assert contents == [b'"1970-01-01"', b'"29349-01-26"', b'"1970-01-02"']


@pytest.mark.parametrize(
    "prompt", ["{{ event }}", "{% if event %}{{ event.at }}{% endif %}: {{ id }}"]
)
@each_value
def test_a_night_rejects_the_row_and_asks_the_others(prompt: str, value: str) -> None:
    world = MemoryWorld()
    events = CONTAINERS["struct"](BEYOND[value])
    put(
        world.store("s3://lake/in/"),
        "dt=1/part-0.parquet",
        pa.Table.from_batches([batch(events)]),
    )
    report = Flow(world, settings(prompt=prompt, keep=["event"])).run()
    assert report["by_status"] == {"answered": 2, "rejected": 1}
    out = world.store("s3://lake/out/")
    (name,) = [
        entry.key for entry in out.list("dt=1/") if entry.key.endswith(".parquet")
    ]
    rows = pq.read_table(pa.BufferReader(out.get(name)))
    assert rows["_error"].to_pylist() == [None, PROBLEM, None]
    assert rows["id"].to_pylist() == ["row-0", "row-1", "row-2"]
    kept_events = rows["event"].combine_chunks()
    assert kept_events.cast(events.type).equals(events)  # a file has fewer types


def test_a_row_with_an_image_is_rejected_too() -> None:
    events = CONTAINERS["struct"](BEYOND["date32"])
    png = b"\x89PNG\r\n\x1a\n" + bytes(20)
    rows = batch(events).append_column("photo", pa.array([png] * 3))
    stager = Stager(Template("{{ image(photo) }} {{ event }}"), frame({}), 100_000)
    (encoded,) = stager.encode_media(rows)
    assert encoded.problems == {1: PROBLEM}
    assert [len(content) > 20 for content in encoded.contents.to_pylist()] == [
        True,
        False,
        True,
    ]
