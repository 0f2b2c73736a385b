"""What is sent is what was planned; what is odd, huge or damaged is bounded and named, and has no wrong price."""

from __future__ import annotations

import io
import json
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.nights.flow import SOURCE, Flow, put, rows, settings
from tests.support.nights.memory import MemoryWorld

from nightbatch.columnar import json_blocks, parquet
from nightbatch.errors import Unreadable
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.land import scan
from nightbatch.land.landing import Landing
from nightbatch.land.received import Received
from nightbatch.ledger import keys
from nightbatch.messages.answer_type import AnswerType
from nightbatch.money.prices import our_prices
from nightbatch.prepare.source import Source, read

TEXTS = ["one", "two", "three"]


@pytest.fixture
def world() -> MemoryWorld:
    """Return a world with one source partition."""
    made = MemoryWorld()
    put(made.store(SOURCE), "dt=1/part-0.parquet", rows(TEXTS))
    return made


def replaced(store: MemoryStore, key: str, change: Any) -> None:
    """Change a file of the state behind the ledger's back."""
    table = change(pq.read_table(io.BytesIO(store.get(key))))
    out = io.BytesIO()
    pq.write_table(table, out)
    store.replace(key, out.getvalue())


def other_contents(table: pa.Table) -> pa.Table:
    """Put another prompt in the place of each."""
    place = table.schema.get_field_index("content")
    contents = [
        b'"' + b"x" * (len(content.as_py()) - 2) + b'"'
        for content in table.column("content")
    ]
    return table.set_column(
        place,
        table.schema.field(place),
        pa.array(contents, table.schema.field(place).type),
    )


def test_changed_contents_are_not_sent_under_the_old_names(world: MemoryWorld) -> None:
    flow = Flow(world, settings(attempts=1))
    ref = flow.prepare()
    shard = flow.plan(ref)[0].shard
    state = world.store(ref.state)
    assert isinstance(state, MemoryStore)
    replaced(state, keys.requests(ref.snapshot, 0), other_contents)
    assert flow.submit(shard) == ""
    assert world.batches.made == []
    assert flow.ledger.landed(shard) is not None


@pytest.mark.parametrize("both", [False, True])
def test_changed_parameters_are_not_sent_under_the_old_names(
    world: MemoryWorld, both: bool
) -> None:
    flow = Flow(world, settings(attempts=1))
    ref = flow.prepare()
    shard = flow.plan(ref)[0].shard
    state = world.store(ref.state)
    assert isinstance(state, MemoryStore)
    run = msgspec.json.decode(state.get(keys.run(ref.snapshot)))
    for name in ("wire", "identity") if both else ("wire",):
        assert '"max_tokens":50' in run[name]
        run[name] = run[name].replace('"max_tokens":50', '"max_tokens":99')
    state.replace(keys.run(ref.snapshot), msgspec.json.encode(run))
    assert flow.submit(shard) == ""
    assert world.batches.made == []


def test_a_page_that_was_damaged_is_named(world: MemoryWorld) -> None:
    store = MemoryStore("s3://lake/x/", MemoryBucket())
    table = pa.table({"a": [f"text {number}" for number in range(1_000)]})
    with parquet.ParquetUpload(
        store, "a.parquet", table.schema, parquet.PLAIN
    ) as sheet:
        sheet.write(table)
        sheet.close()
        sheet.commit()
    body = bytearray(store.get("a.parquet"))
    body[200] ^= 0xFF
    store.replace("a.parquet", bytes(body))
    with pytest.raises((Unreadable, OSError, pa.ArrowException)):
        parquet.table(store, "a.parquet")


def line(usage: dict[str, Any], *, plain: bool = True) -> bytes:
    """Write one result line; one that is not plain is read by the careful reader."""
    text = (
        [{"type": "text", "text": "hello"}]
        if plain
        else [{"type": "thinking"}, {"type": "text", "text": "hello"}]
    )
    message = {
        "content": text,
        "model": "claude-haiku-4-5",
        "stop_reason": "end_turn",
        "usage": usage,
    }
    return (
        json.dumps(
            {
                "custom_id": "00" * 20,
                "result": {"type": "succeeded", "message": message},
            }
        ).encode()
        + b"\n"
    )


def landed(body: bytes) -> dict[str, Any]:
    """Land one line."""
    ids = pa.array([b"\0" * 20], pa.binary(20))
    landing = Landing(
        AnswerType(), "msgbatch_1", our_prices(), Received(ids), "claude-haiku-4-5"
    )  # type: ignore[arg-type]
    landing.begin()
    (row,) = landing.add(body).to_pylist()
    row["bill"] = landing.bill.costs()
    return dict(row)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("count", [-1, -500_000_000, 10**9, 2**62, 2**63, 2**70])
@pytest.mark.parametrize(
    "name", ["input_tokens", "output_tokens", "cache_read_input_tokens"]
)
def test_a_count_that_no_request_can_have_has_no_known_price(
    name: str, count: int, plain: bool
) -> None:
    row = landed(
        line(
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "service_tier": "batch",
                name: count,
            },
            plain=plain,
        )
    )
    assert row["status"] == "answered"
    assert row["cost_usd"] is None
    assert row["bill"] is None
    assert row["text"] == "hello"


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("count", [-7, 10**9, 2**63 - 1])
@pytest.mark.parametrize(
    "split", [None, {"ephemeral_1h_input_tokens": 3}, {"ephemeral_5m_input_tokens": 3}]
)
def test_a_sum_of_cache_writes_that_cannot_be_has_no_known_price(
    split: Any, count: int, plain: bool
) -> None:
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "service_tier": "batch",
        "cache_creation": split,
    }
    row = landed(line({**usage, "cache_creation_input_tokens": count}, plain=plain))
    assert row["status"] == "answered"
    assert row["cost_usd"] is None
    assert row["bill"] is None


COUNTS = st.one_of(
    st.integers(-5, 5),
    st.integers(10**9 - 3, 10**9 + 3),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(2**63, 2**70),
)
SPLITS = st.fixed_dictionaries(
    {}, optional={f"ephemeral_{age}_input_tokens": COUNTS for age in ("5m", "1h")}
)
CLASSES = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
USAGES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(CLASSES, COUNTS),
        "cache_creation": st.one_of(st.none(), SPLITS),
    },
)


@given(USAGES)
def test_both_readers_price_odd_counts_alike(usage: dict[str, Any]) -> None:
    usage = {**usage, "service_tier": "batch"}
    fast, careful = landed(line(usage)), landed(line(usage, plain=False))
    assert fast == careful


@given(USAGES)
def test_no_usage_has_a_negative_cost_or_one_that_no_request_can_have(
    usage: dict[str, Any],
) -> None:
    cost = landed(line({**usage, "service_tier": "batch"}))["cost_usd"]
    assert cost is None or 0 <= cost < 10**6


def test_a_block_beyond_what_arrow_can_address_is_left_to_the_careful_reader() -> None:
    class Huge:
        size = 2**31

    assert json_blocks.read(Huge(), scan._PARSE) is None  # type: ignore[arg-type]


def test_a_dictionary_does_not_expand_beyond_what_is_read_at_a_time() -> None:
    store = MemoryStore("s3://lake/in/", MemoryBucket())
    table = pa.table(
        {
            "id": range(20_000),
            "text": pa.array(["x" * 20_000]).dictionary_encode().take([0] * 20_000),
        }
    )
    out = io.BytesIO()
    pq.write_table(
        table.cast(pa.schema([("id", pa.int64()), ("text", pa.string())])), out
    )
    store.create("a.parquet", out.getvalue())
    assert len(out.getvalue()) < 200_000
    (entry,) = store.list("")
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    sizes = [batch.nbytes for batch in read(Source(store, [entry], schema), None)]
    assert max(sizes) < 16_000_000
