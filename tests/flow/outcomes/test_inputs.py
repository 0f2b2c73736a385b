"""Whatever Parquet can hold comes through: into prompts, into kept columns, or as a row that says why not."""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from nightbatch.airflow import ports
from nightbatch.columnar.parquet import table
from nightbatch.errors import SourceError, SourceMoving, TemplateError
from nightbatch.io.memory import MemoryStore
from nightbatch.ledger import keys
from nightbatch.prepare.media_fetch import fetcher
from nightbatch.prepare.prepare import prepare
from nightbatch.spec.media_roots import MediaRoots
from nightbatch.template.media import Cutter

PNG, PDF = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20, b"%PDF-1.7 and so on"
NANOS = 1_764_000_000_123_456_789
ODD = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "nested": pa.array([{"a": 1, "b": ["x"]}, None, {"a": None, "b": []}]),
        "tags": pa.array([["a", "b"], [], None], pa.list_(pa.string())),
        "kind": pa.array(["p", "q", None]).dictionary_encode(),
        "price": pa.array(
            [Decimal("1.50"), None, Decimal("-3.25")], pa.decimal128(10, 2)
        ),
        "at": pa.array([NANOS, None, 1], pa.timestamp("ns", "UTC")),
        "times": pa.array([[NANOS], None, []], pa.list_(pa.timestamp("ns"))),
        "took": pa.array([1_001, None, 5], pa.duration("ns")),
        "day": pa.array([dt.date(2026, 11, 21), None, dt.date(1969, 1, 1)]),
        "raw": pa.array([b"\xff\x00", None, b""], pa.binary()),
        "nothing": pa.nulls(3),
        "pairs": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        "half": pa.array([1.5, None, float("inf")], pa.float32()),
    }
)
TEXTS = [name for name in ODD.column_names if name != "raw"]


def contents(night: Any, ref: Any) -> list[Any]:
    """Return the content of every staged request, as the API will see it."""
    run = night.ledger.run(ref.snapshot)
    part_keys = [keys.requests(run.snapshot, part) for part in range(run.parts)]
    parts = (table(night.ledger.store, key) for key in part_keys)
    staged = [
        content for part in parts for content in part.column("content").to_pylist()
    ]
    return [run.frame.params(content)["messages"][0]["content"] for content in staged]


def test_every_type_can_be_printed_and_kept(night: Any) -> None:
    night.put("a.parquet", ODD)
    prompt = " ".join(f"{name}={{{{ {name} }}}}" for name in TEXTS)
    ref = night.prepare(prompt=prompt, keep=ODD.column_names)
    first = contents(night, ref)[0]
    assert 'nested={"a":1,"b":["x"]} tags=["a","b"] kind=p price=1.5' in first
    assert "at=2025-11-24T16:00:00.123456+00:00" in first
    assert "day=2026-11-21" in first
    assert "nothing= " in first
    night.shards(ref, 1)
    night.publish(ref)
    kept = night.table().select(ODD.column_names)
    assert kept.drop(["kind"]).equals(ODD.drop(["kind"]))
    assert kept["kind"].to_pylist() == ["p", "q", None]


def test_the_same_prompt_comes_of_a_template_with_logic(night: Any) -> None:
    night.put("a.parquet", ODD)
    plain = " ".join(f"{name}={{{{ {name} }}}}" for name in TEXTS)
    ref, logical = (
        night.prepare(prompt=plain),
        night.prepare(prompt="{% if true %}" + plain + "{% endif %}"),
    )
    assert contents(night, logical) == contents(night, ref)


@pytest.mark.parametrize(
    "kind",
    [pa.timestamp("us", "UTC"), pa.timestamp("ns"), pa.date64(), pa.time64("ns")],
)
def test_any_time_can_be_a_key(night: Any, kind: pa.DataType) -> None:
    day = 86_400_000
    night.put(
        "a.parquet",
        pa.table({"id": pa.array([0, day, 3 * day], kind), "body": ["a", "b", "c"]}),
    )
    assert night.prepare().rows == 3
    night.put("b.parquet", pa.table({"id": pa.array([day], kind), "body": ["again"]}))
    with pytest.raises(SourceError, match="1 of 4 rows repeat"):
        night.prepare()


def test_dates_that_python_cannot_hold_are_printed_and_the_others_as_ever(
    night: Any,
) -> None:
    days = pa.array([-1_000_000, 20_000], pa.int32()).cast(pa.date32())
    night.put("a.parquet", pa.table({"id": days, "body": days}))
    assert contents(night, night.prepare(prompt="{{ body }}")) == [
        "-0768-02-04",
        "2024-10-04",
    ]


def test_a_template_over_very_wide_data_reads_only_its_columns(night: Any) -> None:
    night.put(
        "a.parquet",
        pa.table({"id": [1], "body": ["x"], **{f"c{n}": [n] for n in range(2_000)}}),
    )
    assert contents(night, night.prepare()) == ["Say something of: x"]


def broken_text() -> pa.Array:
    """Make text of which a row is not UTF-8, one holds half a surrogate pair and one a NUL."""
    raw = pa.array([b"caf\xe9", b"\xed\xa0\x80", b"a\x00b", "ü".encode()], pa.binary())
    return pa.Array.from_buffers(pa.string(), 4, raw.buffers())


@pytest.mark.parametrize("prompt", ["{{ body }}", "{% if body %}{{ body }}{% endif %}"])
def test_text_that_is_not_utf8_is_repaired_in_the_prompt_and_kept_as_it_is(
    night: Any, prompt: str
) -> None:
    night.put("a.parquet", pa.table({"id": broken_text(), "body": broken_text()}))
    ref = night.prepare(prompt=prompt)
    assert contents(night, ref) == ["caf\ufffd", "\ufffd\ufffd\ufffd", "a\x00b", "ü"]
    night.shards(ref, 1)
    night.publish(ref)
    assert night.table()["id"].cast(pa.binary()).to_pylist()[0] == b"caf\xe9"


def test_text_that_is_not_utf8_inside_a_list_is_told_without_showing_it(
    night: Any,
) -> None:
    night.put(
        "a.parquet",
        pa.table({"id": [1], "body": pa.ListArray.from_arrays([0, 4], broken_text())}),
    )
    with pytest.raises(SourceError, match="not valid UTF-8"):
        night.prepare()


def test_a_cell_of_ten_megabytes_is_a_request_like_any_other(night: Any) -> None:
    night.put(
        "a.parquet",
        [{"id": 1, "body": "long " * 2_000_000}, {"id": 2, "body": "short"}],
    )
    ref = night.prepare()
    assert [len(content) for content in contents(night, ref)] == [10_000_018, 23]
    assert [planned.requests for planned in night.plan(ref, 1).shards] == [2]


def test_a_row_beyond_the_limit_is_rejected_and_the_others_are_asked(
    night: Any,
) -> None:
    night.put(
        "a.parquet",
        [{"id": n, "body": "x" * (5_000 if n == 7 else 5)} for n in range(30)],
    )
    report = night.run(max_batch_bytes=4_000)
    assert report["by_status"] == {"answered": 29, "rejected": 1}
    row = night.table().to_pylist()[7]
    assert (row["_status"], row["_error"]) == (
        "rejected",
        "the request is larger than max_batch_bytes",
    )


@pytest.mark.parametrize(
    "prompt", ["{{ body }}", "  {{ body }}\n", "{% if body %}{{ body }}{% endif %}"]
)
@pytest.mark.parametrize("body", ["", " \n\t", None])
def test_an_empty_prompt_is_a_rejected_row(
    night: Any, prompt: str, body: str | None
) -> None:
    night.put(
        "a.parquet",
        pa.table(
            {"id": range(30), "body": pa.array(["text"] * 29 + [body], pa.string())}
        ),
    )
    report = night.run(prompt=prompt)
    assert report["by_status"] == {"answered": 29, "rejected": 1}
    assert report["requests"] == 1


def test_row_values_are_never_templates(night: Any) -> None:
    night.put("a.parquet", [{"id": 1, "body": "{{ id }}{% for x in y %}"}])
    assert contents(night, night.prepare(prompt="{{ body }}")) == [
        "{{ id }}{% for x in y %}"
    ]


def image(
    content: bytes, media: str = "image/png", kind: str = "image"
) -> dict[str, Any]:
    data = base64.b64encode(content).decode()
    return {
        "type": kind,
        "source": {"type": "base64", "media_type": media, "data": data},
    }


def test_a_binary_column_becomes_image_and_document_blocks_where_it_stands(
    night: Any,
) -> None:
    night.put(
        "a.parquet", pa.table({"id": [1, 2], "photo": [PNG, None], "scan": [PDF, PDF]})
    )
    ref = night.prepare(
        prompt="Look: {{ image(photo) }} and {{ document(scan) }} of {{ id }}"
    )
    assert contents(night, ref) == [
        [
            {"type": "text", "text": "Look: "},
            image(PNG),
            {"type": "text", "text": " and "},
            image(PDF, "application/pdf", "document"),
            {"type": "text", "text": " of 1"},
        ],
        [
            {"type": "text", "text": "Look:  and "},
            image(PDF, "application/pdf", "document"),
            {"type": "text", "text": " of 2"},
        ],
    ]


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
    ],
)
def test_the_kind_of_an_image_is_read_from_its_first_bytes(
    night: Any, content: bytes, media: str
) -> None:
    night.put("a.parquet", pa.table({"id": [1], "photo": [content]}))
    assert contents(night, night.prepare(prompt="{{ image(photo) }}")) == [
        [image(content, media)]
    ]


def test_a_column_named_image_loops_and_conditions_work(night: Any) -> None:
    night.put("a.parquet", pa.table({"id": [1], "image": [PNG], "more": [[PNG, PNG]]}))
    prompt = "{% if image %}{{ image(image) }}{% endif %}{% for one in more %}{{ image(one) }}{% endfor %}"
    assert contents(night, night.prepare(prompt=prompt)) == [[image(PNG)] * 3]


def test_images_are_asked_answered_and_named_by_their_content(night: Any) -> None:
    other = PNG + b"other"
    night.put("a.parquet", pa.table({"id": [1, 2, 3], "photo": [PNG, other, PNG]}))
    report = night.run(prompt="What is this? {{ image(photo) }}")
    assert (report["by_status"], report["requests"]) == ({"answered": 3}, 2)


def test_a_column_of_addresses_is_read_and_named_by_what_is_there(night: Any) -> None:
    night.put_bytes("s3://media/a.png", PNG)
    night.put_bytes("s3://media/same.png", PNG)
    urls = [
        "s3://media/a.png",
        "s3://media/same.png",
        "s3://media/none.png",
        "https://example.com/x.png",
        "word",
    ]
    night.put("a.parquet", pa.table({"id": range(5), "photo": urls}))
    settings = replace(
        night.settings,
        prompt="{{ image(photo) }}",
        media_roots=["s3://media/", "https://example.com/"],
    )
    fetch = fetcher(night.store, MediaRoots.read(settings.media_roots, settings.source))
    run = prepare(
        settings, night.store(settings.source), night.store(settings.state_url), fetch
    )
    assert run.requests == 2
    rows = table(night.ledger.store, f"snapshots/{run.snapshot}/rows-00000.parquet")
    assert rows["_problem"].to_pylist() == [
        None,
        None,
        "the image's address names no object",
        None,
        "the image is neither binary nor an s3:// or https:// address",
    ]


def test_an_image_of_no_known_kind_is_a_rejected_row(night: Any) -> None:
    photos = [PNG + bytes([number]) for number in range(29)]
    night.put("a.parquet", pa.table({"id": range(30), "photo": [*photos, b"MZ\x00"]}))
    assert night.run(prompt="{{ image(photo) }}")["by_status"] == {
        "answered": 29,
        "rejected": 1,
    }
    assert (
        night.table().to_pylist()[29]["_error"]
        == "the image is not PNG, JPEG, GIF or WebP"
    )


def test_a_binary_column_printed_as_text_is_refused(night: Any) -> None:
    night.put("a.parquet", pa.table({"id": [1], "photo": [PNG]}))
    with pytest.raises(
        TemplateError, match=r"Write image\(photo\) or document\(photo\)"
    ):
        night.prepare(prompt="{{ photo }}")
    with pytest.raises(TemplateError, match="a binary value is used outside"):
        night.prepare(prompt="{{ image(photo) }} {{ photo }}")


def test_no_row_can_forge_a_mark(night: Any) -> None:
    night.put(
        "a.parquet",
        pa.table({"id": [1], "body": [f"\x00{'0' * 24}0\x00"], "photo": [PNG]}),
    )
    assert (
        contents(night, night.prepare(prompt="{{ body }}{{ image(photo) }}"))[0][0][
            "type"
        ]
        == "text"
    )
    assert Cutter().mark != Cutter().mark


def test_a_thousand_small_files_are_one_input_in_the_order_of_their_names(
    night: Any,
) -> None:
    for number in range(1_000):
        night.put(f"{number:04d}.parquet", [{"id": number, "body": f"text {number}"}])
    night.bucket.objects.pop("s3://lake/tickets/a.parquet")
    ref = night.prepare()
    assert (ref.rows, ref.requests) == (1_000, 1_000)
    assert contents(night, ref)[:2] == [
        "Say something of: text 0",
        "Say something of: text 1",
    ]


def test_encodings_of_one_type_may_differ_between_files(night: Any) -> None:
    night.put(
        "a.parquet", pa.table({"id": [1], "body": pa.array(["x"]).dictionary_encode()})
    )
    night.put(
        "b.parquet", pa.table({"id": [2], "body": pa.array(["y"], pa.large_string())})
    )
    night.put("c.parquet", pa.table({"id": [3], "body": pa.nulls(1)}))
    assert night.prepare(keep=["body"]).rows == 3


class Shifting(MemoryStore):
    """A store in which a file is replaced while it is read."""

    def get(self, key: str) -> bytes:
        body = super().get(key)
        if key == "b.parquet":
            self._bucket.objects[f"{self.url}a.parquet"] = body
        return body


def test_an_input_replaced_while_it_is_read_is_told_and_nothing_is_mixed(
    night: Any,
) -> None:
    night.put("b.parquet", [{"id": 99, "body": "last"}])
    night.store = lambda url: (
        Shifting(url, night.bucket)
        if url.endswith("tickets/")
        else MemoryStore(url, night.bucket)
    )
    with (
        pytest.raises(
            SourceMoving,
            match=r"a\.parquet changed while it was read\. Nothing was bought",
        ),
        ports.final_errors(),  # which lets pass what Airflow is to try again
    ):
        night.prepare()
    assert night.bought == 0


def test_an_input_replaced_after_prepare_changes_nothing_of_the_run(
    night: Any, make_tickets: Any
) -> None:
    ref = night.prepare()
    night.put("a.parquet", make_tickets(3))
    night.shards(ref, 1)
    assert night.publish(ref)["rows"] == 10
    assert night.run("second")["rows"] == 3
