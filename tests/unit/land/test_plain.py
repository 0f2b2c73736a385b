"""Plain answers, read in columns, land as they would one by one; what is not plain is left to the careful way."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightbatch.ids import BatchId
from nightbatch.land.landing import Landing
from nightbatch.land.plain import pick
from nightbatch.land.received import Received
from nightbatch.land.scan import Scan, scan
from nightbatch.messages.answer_type import AnswerType
from nightbatch.messages.result_lines import decode
from nightbatch.money.prices import our_prices

IDS = [bytes([number]) * 20 for number in range(5)]
TEXT = AnswerType()
MOOD = AnswerType(
    {
        "type": "object",
        "properties": {
            "mood": {"type": "string"},
            "when": {"type": "string", "format": "date"},
            "at": {"type": "string", "format": "date-time"},
            "clock": {"type": "string", "format": "time"},
            "n": {"type": "integer"},
        },
        "required": ["mood"],
        "additionalProperties": False,
    }
)
counts = st.none() | st.integers(0, 2**40)
usages = st.fixed_dictionaries(
    {"input_tokens": counts, "output_tokens": counts},
    optional={
        "cache_creation_input_tokens": counts,
        "cache_read_input_tokens": counts,
        "cache_creation": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                f"ephemeral_{age}_input_tokens": counts for age in ("5m", "1h", "1d")
            },
        ),
        "service_tier": st.sampled_from([None, "", "batch", "standard"]),
        "inference_geo": st.sampled_from([None, "us", "global"]),
        "server_tool_use": st.none()
        | st.dictionaries(
            st.sampled_from(
                ["web_search_requests", "web_fetch_requests", "later_requests"]
            ),
            counts,
        ),
        "of_the_future": st.just({"a": [1, "x", None]}),
    },
)
moods = st.fixed_dictionaries(
    {"mood": st.text(max_size=4)},
    optional={
        "when": st.sampled_from(["2026-11-21", "0000-01-01", "soon"]),
        "at": st.sampled_from(["2026-11-29T10:11", "0001-01-01T00:00+01:00", "x"]),
        "clock": st.sampled_from(["10:11", "10:11:12.5+02:00", "23:59:60Z"]),
        "n": st.sampled_from([1, 1.0, 2**70]),
    },
)
words = (
    st.builds(json.dumps, moods)
    | st.text(max_size=6)
    | st.sampled_from(["", "null", "{}", '{"mood": "\\u0000"}'])
)
blocks = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "text", "thinking"]), "text": words | st.none()}
)
messages = st.fixed_dictionaries(
    {
        "content": st.lists(blocks, min_size=1, max_size=1)
        | st.lists(blocks, max_size=2),
        "stop_reason": st.sampled_from(
            [
                "end_turn",
                "end_turn",
                "stop_sequence",
                "tool_use",
                "refusal",
                "new",
                None,
            ]
        ),
        "usage": usages | st.none(),
    },
    optional={
        "model": st.sampled_from(["claude-haiku-4-5", "claude-haiku-5-5", "", None]),
        "id": st.text(max_size=3),
    },
)
results = st.fixed_dictionaries(
    {"type": st.just("succeeded"), "message": messages}
) | st.sampled_from(
    [
        {"type": "expired"},
        {"type": "succeeded"},
        {
            "type": "errored",
            "error": {"type": "error", "error": {"type": "api_error", "message": "no"}},
        },
    ]
)
lines = st.builds(
    lambda name, result: json.dumps({"custom_id": name, "result": result}).encode(),
    st.sampled_from([*(one.hex() for one in IDS), "stranger"]),
    results,
)
odd_lines = st.sampled_from(
    [
        b"",
        b"  ",
        b"{]",
        b"{}",
        b'{"custom_id": null}',
        b'{"custom_id": 7}',
        b"\xff",
        b"[1]",
        b"{} {}",
    ]
)


def landing(answer: AnswerType) -> Landing:
    return Landing(
        answer, BatchId("msgbatch_1"), our_prices(), Received(IDS), "claude-haiku-4-5"
    )


def told(one: Landing, scanned: list[Scan]) -> dict[str, Any]:
    rows = pa.Table.from_batches(
        [one.take(pick(each, one.answer)) for each in scanned]
    ).to_pylist()
    return {
        "rows": sorted(rows, key=lambda row: row["id"]),
        "kinds": +one.kinds,
        "statuses": +one.statuses,
        "odd": one.odd,
        "errors": one.errors,
        "sums": one.bill.sums,
        "tools": one.bill.tools,
        "longest": one.bill.longest,
    }


@settings(suppress_health_check=list(HealthCheck))
@given(
    st.lists(lines | odd_lines, max_size=8),
    st.lists(lines, max_size=3),
    st.sampled_from([MOOD, TEXT]),
)
def test_lines_land_in_columns_as_they_land_one_by_one(
    first: list[bytes], then: list[bytes], answer: AnswerType
) -> None:
    given_blocks = [b"\n".join(first) + b"\n", b"\n".join(then)]
    in_columns = told(landing(answer), [scan(block) for block in given_blocks])
    assert in_columns == told(
        landing(answer), [Scan(block, None) for block in given_blocks]
    )


def line(number: int, text: str) -> bytes:
    message = {
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1},
    }
    return json.dumps(
        {
            "custom_id": IDS[number].hex(),
            "result": {"type": "succeeded", "message": message},
        }
    ).encode()


def test_plain_lines_are_read_in_columns() -> None:
    rows = scan(line(0, "one") + b"\n" + line(1, "two \u2014 é") + b"\n").rows
    assert rows is not None
    assert len(rows) == 2


@pytest.mark.parametrize(
    "odd",
    [
        b"{]",
        b"\n",
        b"\n{} {}",
        b" \n{} {}",
        b'{"custom_id": "x", "result": {"type": "succeeded", "message": "a text"}}',
        b'{"custom_id": "\xff"}',
    ],
    ids=[
        "garbled",
        "blank",
        "blank before two of one line",
        "spaces before two of one line",
        "of another form",
        "not UTF-8",
    ],
)
def test_one_line_that_arrow_does_not_take_costs_no_other_line_anything(
    odd: bytes,
) -> None:
    block = line(0, "one") + b"\n" + odd + b"\n" + line(1, "two")
    scanned = scan(block)
    assert scanned.rows is None
    rows = landing(TEXT).take(pick(scanned, TEXT))
    assert rows.column("answer").to_pylist() == ["one", "two"]


@pytest.mark.parametrize("uses", [{"later_requests": 1}, {"later": {"requests": 1}}])
def test_uses_of_a_tool_that_is_not_known_are_counted_among_plain_lines(
    uses: dict[str, Any],
) -> None:
    usage = {"input_tokens": 1, "server_tool_use": {"web_search_requests": 0, **uses}}
    message = {
        "content": [{"type": "text", "text": "two"}],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    other = {
        "custom_id": IDS[1].hex(),
        "result": {"type": "succeeded", "message": message},
    }
    landed = landing(TEXT)
    landed.take(
        pick(scan(line(0, "one") + b"\n" + json.dumps(other).encode() + b"\n"), TEXT)
    )
    assert landed.bill.tools == {"other": 1}
    assert landed.bill.costs() is None


def test_the_careful_way_reads_what_arrow_reads() -> None:
    assert [
        one and one.custom_id
        for one in decode(line(0, "one") + b"\n\n" + line(1, "two"))
    ] == [
        IDS[0].hex(),
        IDS[1].hex(),
    ]
