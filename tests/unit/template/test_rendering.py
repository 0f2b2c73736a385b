"""The fast path gives the bytes of the compiled one: prompts, ids and the body, for any rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from tests.support import oracles

from nightbatch.columnar.custom_ids import custom_ids
from nightbatch.columnar.json_strings import json_quoted
from nightbatch.messages.request import frame
from nightbatch.prepare.encoding.stager import EMPTY, TOO_LARGE, Stager
from nightbatch.template.template import Template

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
CELLS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "text": (pa.string(), TEXT),
    "count": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "share": (pa.float64(), st.floats()),
    "shares": (
        pa.list_(pa.float32()),
        st.lists(st.floats(allow_nan=False, width=32), max_size=3),
    ),
    "price": (pa.decimal128(12, 3), st.decimals(-1000, 1000, places=3)),
    "day": (pa.date32(), st.dates()),
    "place": (
        pa.struct([("x", pa.float64()), ("name", pa.string())]),
        st.fixed_dictionaries({"x": FINITE, "name": TEXT}),
    ),
    "flag": (pa.bool_(), st.booleans()),
    "when": (
        pa.timestamp("us", "UTC"),
        st.datetimes(
            datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)
        ),
    ),
    "tags": (pa.list_(pa.string()), st.lists(TEXT, max_size=3)),
}
SCHEMA = pa.schema([pa.field(name, kind) for name, (kind, _) in CELLS.items()])
ROW = st.fixed_dictionaries(
    {name: st.none() | cells for name, (_, cells) in CELLS.items()}
)
ROWS = st.lists(ROW, min_size=1, max_size=5)
LITERAL = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="{"), max_size=20
)
FRAME = frame({"model": "m", "max_tokens": 9}, system="Be brief.", cache=True)


@given(
    ROWS,
    st.lists(st.sampled_from(sorted(CELLS)), max_size=4),
    st.lists(LITERAL, min_size=5, max_size=5),
)
def test_a_template_of_plain_substitutions_renders_as_its_compiled_form(
    rows: list[dict[str, Any]], names: list[str], literals: list[str]
) -> None:
    plain = literals[0] + "".join(
        f"{{{{ {name} }}}}{text}"
        for name, text in zip(names, literals[1:], strict=False)
    )
    compiled = plain + "{% if true %}{% endif %}"
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    assert Template(plain).render(batch) == Template(compiled).render(batch)


@given(st.lists(TEXT, max_size=6))
def test_a_body_built_in_columns_equals_one_built_item_by_item(
    prompts: list[str],
) -> None:
    column = json_quoted(pa.array(prompts, pa.large_string()))
    contents = column.to_pylist()
    assert contents == [msgspec.json.encode(prompt) for prompt in prompts]
    ids = FRAME.request_ids(column)
    assert ids == [oracles.request_id(FRAME, content) for content in contents]
    joined = FRAME.items(
        pa.array(ids, pa.binary(20)), pa.array(contents, pa.large_binary())
    )
    assert joined.tobytes() == b"".join(
        b"," + oracles.item(FRAME, i, c) for i, c in zip(ids, contents, strict=True)
    )


def test_every_character_is_escaped_as_msgspec_does_and_in_a_slice_as_in_the_whole() -> (
    None
):
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    texts = [*every, "".join(every), "", '\\"\n' * 9]
    column = pa.array(texts, pa.large_string())
    whole = json_quoted(column)
    assert whole.to_pylist() == [msgspec.json.encode(text) for text in texts]
    assert json_quoted(column.slice(7, 40)).equals(whole.slice(7, 40))
    thousand = json_quoted(pa.array(texts[:1_000], pa.large_string()))
    ids = FRAME.request_ids(thousand)
    assert FRAME.request_ids(thousand.slice(7, 40)) == ids[7:47]
    assert FRAME.request_ids(whole.slice(7, 40)) == ids[7:47]
    assert json_quoted(column.slice(0, 0)).to_pylist() == []


def test_items_of_a_slice_are_the_slices_own() -> None:
    contents = [b'"a"', b'"b"', b'"c"', b'"d"']
    ids = FRAME.request_ids(pa.array(contents, pa.large_binary()))
    batch = pa.RecordBatch.from_arrays(
        [pa.array(ids, pa.binary(20)), pa.array(contents, pa.large_binary())],
        names=["id", "content"],
    ).slice(1, 2)
    expected = b"".join(
        b"," + oracles.item(FRAME, i, c)
        for i, c in zip(ids[1:3], contents[1:3], strict=True)
    )
    assert (
        FRAME.items(batch.column("id"), batch.column("content")).tobytes() == expected
    )


def test_ids_print_as_hex_and_null_stays_null() -> None:
    ids = pa.array([bytes(range(20)), None, b"\xff" * 20], pa.binary(20))
    assert custom_ids(ids).to_pylist() == [bytes(range(20)).hex(), None, "ff" * 20]
    assert custom_ids(ids.slice(2)).to_pylist() == ["ff" * 20]
    assert custom_ids(pa.nulls(2, pa.binary(20))).to_pylist() == [None, None]


def test_a_row_is_asked_once_in_its_part_and_a_problem_is_never_asked() -> None:
    stager = Stager(Template("{{ text }}"), FRAME, max_bytes=len(FRAME.wire) + 200)
    rows = pa.record_batch({"text": ["a", "b", "a", " \n", "c" * 300]})
    seen: dict[bytes, int] = {}
    first = stager.stage(stager.encode(rows), seen)
    assert first.requests.column("content").to_pylist() == [b'"a"', b'"b"']
    assert first.requests.column("size").to_pylist() == [3, 3]
    assert first.problems.to_pylist() == [None, None, None, EMPTY, TOO_LARGE]
    assert first.numbers.to_pylist() == [0, 1, 0, None, None]
    again = stager.stage(stager.encode(rows), seen)
    assert again.numbers == first.numbers
    assert again.requests.num_rows == 0
