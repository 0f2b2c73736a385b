"""A request is named by what it asks, and by nothing else."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.support import oracles

from nightbatch.columnar.json_strings import json_quoted
from nightbatch.messages.request import frame, shared_params
from nightbatch.plan.canary import ROWS, all_rejected, representative
from nightbatch.plan.pending import Pending, shards
from nightbatch.prepare.encoding.stager import Stager
from nightbatch.template.template import Template


def shared(**more: Any) -> dict[str, Any]:
    return shared_params(
        model="claude-haiku-4-5", max_tokens=9, params=more, output_format=None
    )


def ids(rows: pa.RecordBatch, template: str = "{{ a }}", **more: Any) -> list[bytes]:
    stager = Stager(Template(template), frame(shared(**more)), 10_000)
    staged = stager.stage(stager.encode(rows), {})
    named: list[bytes] = staged.requests.column("id").take(staged.numbers).to_pylist()
    return named


ROW = pa.RecordBatch.from_pylist([{"a": "x", "b": 1}])


def test_the_same_question_has_the_same_name_whatever_it_is_made_of() -> None:
    other = pa.RecordBatch.from_pylist([{"b": "unseen", "a": "x"}])
    assert ids(ROW) == ids(other) == ids(ROW, "{% if a %}{{ a }}{% endif %}")


def test_the_order_of_parameters_does_not_matter_and_their_values_do() -> None:
    assert ids(ROW, temperature=1, top_p=0.5) == ids(ROW, top_p=0.5, temperature=1)
    assert (
        len(
            {
                *ids(ROW),
                *ids(ROW, temperature=1),
                *ids(ROW, temperature=0.5),
                *ids(ROW, "{{ a }}!"),
            }
        )
        == 4
    )


def test_caching_changes_the_price_and_not_the_name() -> None:
    plain, cached = (
        frame(shared(), system="Be brief.", cache=cache) for cache in (False, True)
    )
    content = b'"x"'
    contents = pa.array([content], pa.large_binary())
    assert plain.request_ids(contents) == cached.request_ids(contents)
    assert cached.params(content)["system"][0]["cache_control"] == {
        "type": "ephemeral",
        "ttl": "1h",
    }


def test_what_is_sent_is_what_was_named() -> None:
    content = json_quoted(pa.array(["a “b” \n\x00"], pa.large_string()))[0].as_py()
    params = frame(shared(temperature=1), system="Be brief.").params(content)
    assert params["messages"] == [{"content": "a “b” \n\x00", "role": "user"}]
    assert (params["model"], params["max_tokens"], params["temperature"]) == (
        "claude-haiku-4-5",
        9,
        1,
    )


@pytest.mark.parametrize(
    "contents", [[], [b'"one"'], [b'"one"', '"zwölf"'.encode(), b'""']]
)
def test_bodies_are_counted_to_the_byte(contents: list[bytes]) -> None:
    made = frame(shared())
    body = oracles.body(made, contents)
    assert made.body_size(sum(map(len, contents)), len(contents)) == len(body)
    assert [one["params"] for one in json.loads(body)["requests"]] == [
        made.params(content) for content in contents
    ]


def test_nothing_asked_is_nothing_pending() -> None:
    assert Pending(0).pending_numbers().tolist() == []
    assert (
        list(
            shards(
                np.empty(0, np.int32),
                max_requests=9,
                max_bytes=999,
                overhead=1,
                envelope=1,
            )
        )
        == []
    )


@pytest.mark.parametrize(
    ("requests", "size", "cuts"),
    [(2, 999, [2, 2, 1]), (9, 35, [2, 2, 1]), (9, 1, [1] * 5)],
)
def test_shards_fit_by_count_and_by_bytes(
    requests: int, size: int, cuts: list[int]
) -> None:
    made = shards(
        np.array([10] * 5),
        max_requests=requests,
        max_bytes=size,
        overhead=5,
        envelope=4,
    )
    assert list(map(len, made)) == cuts


def test_a_canary_is_short_middling_and_long_and_only_where_more_follow() -> None:
    assert representative(np.arange(16)[::-1]) == [1, 7, 13]
    assert representative(np.arange(ROWS)) == []
    assert len(set(representative(np.ones(4)))) == ROWS


def test_a_canary_condemns_only_if_all_of_it_was_rejected() -> None:
    assert all_rejected({"rejected": 3})
    assert not all_rejected({"rejected": 2, "expired": 1})
    assert not all_rejected({})
