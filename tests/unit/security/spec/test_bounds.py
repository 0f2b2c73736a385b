"""What a purchase may cost at most holds whatever rows hold: images, documents, dense text anywhere, tools."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightbatch import Enrichment, Prompt
from nightbatch.errors import ApiError
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.ledger.ledger import Ledger
from nightbatch.money import prompt_tokens
from nightbatch.money.media_tokens import IMAGE_TOKENS
from nightbatch.money.prompt_tokens import Sample, Sizes
from nightbatch.plan.offer import Offer, quote
from nightbatch.prepare.prepare import prepare
from nightbatch.spec.run import reference

MODEL = "claude-haiku-4-5"
INPUT, OUTPUT = Decimal("0.5") / 1_000_000, Decimal("2.5") / 1_000_000
PNG = b"\x89PNG\r\n\x1a\n" + bytes(300_000)
Counts = Callable[[dict[str, Any]], int]


def offer(
    rows: pa.Table, template: str, counts: Counts | None = None, **more: Any
) -> Offer:
    """Ask what a run over these rows would cost; nothing is bought."""
    bucket = MemoryBucket()
    job = Enrichment(
        source="s3://lake/rows/",
        target="s3://lake/out/",
        prompt=Prompt(template),
        model=MODEL,
        max_tokens=10,
        **more,
    )
    out = io.BytesIO()
    pq.write_table(rows, out)
    MemoryStore(job.source, bucket).create("part-0.parquet", out.getvalue())
    state = MemoryStore(job.state_url, bucket)
    run = prepare(job, MemoryStore(job.source, bucket), state)
    return quote(
        reference(job, run, "test"), Ledger(state), lambda: datetime.now(UTC), counts
    )


def at_most(given: Offer) -> Decimal:
    assert given.estimate.at_most is not None
    return given.estimate.at_most


def unreachable(_: dict[str, Any]) -> int:
    raise ApiError("no connection")


def addresses(count: int, suffix: str) -> pa.Table:
    return pa.table(
        {"at": [f"https://files.example/{number}.{suffix}" for number in range(count)]}
    )


@pytest.mark.parametrize("counts", [None, unreachable, lambda _: 180_050])
def test_a_document_by_address_may_fill_the_models_context_window(
    counts: Counts | None,
) -> None:
    found = offer(addresses(1_000, "pdf"), "Sum up: {{ document(at) }}", counts)
    assert at_most(found) >= 1_000 * 180_000 * INPUT
    assert at_most(found) == 1_000 * (200_000 * INPUT + 10 * OUTPUT)


def test_an_image_by_address_counts_as_the_most_tokens_that_an_image_has() -> None:
    most = at_most(offer(addresses(100, "png"), "What is it? {{ image(at) }}"))
    assert 100 * IMAGE_TOKENS * INPUT < most < 100 * (IMAGE_TOKENS + 300) * INPUT


def test_an_image_in_a_column_counts_as_an_image_not_as_its_base64() -> None:
    most = at_most(offer(pa.table({"photo": [PNG]}), "What is it? {{ image(photo) }}"))
    assert IMAGE_TOKENS * INPUT < most < (IMAGE_TOKENS + 300) * INPUT


def test_a_document_in_a_column_may_fill_the_context_window_too() -> None:
    most = at_most(
        offer(pa.table({"scan": [b"%PDF-1.7 one small page"]}), "{{ document(scan) }}")
    )
    assert most == 200_000 * INPUT + 10 * OUTPUT


def test_rows_without_their_image_cost_only_their_text() -> None:
    most = at_most(
        offer(
            pa.table({"at": pa.array([None], pa.string())}),
            "What is it? {{ image(at) }}",
        )
    )
    assert most < 100 * INPUT + 10 * OUTPUT


def test_counted_images_are_expected_as_they_were_counted() -> None:
    found = offer(
        addresses(50, "png"),
        "{{ image(at) }}",
        lambda params: 1_500 if len(str(params)) > 150 else 10,
    )
    assert found.estimate.input_tokens == pytest.approx(50 * 1_500, rel=0.05)
    assert at_most(found) > 50 * IMAGE_TOKENS * INPUT


def dense(params: dict[str, Any]) -> int:
    """Count tokens as a model does to which Z is two bytes a token, and all else eight."""
    text = params["messages"][0]["content"]
    return 20 + len(text) // (2 if "Z" in text else 8)


@pytest.mark.parametrize("first", [0, 3_000, 8_200, 8_980])
def test_rows_that_nobody_counted_may_be_denser_than_those_that_were(
    first: int,
) -> None:
    texts = [
        ("Z" if first <= number < first + 800 else "a") * 400 + str(number)
        for number in range(9_000)
    ]
    found = offer(pa.table({"text": texts}), "{{ text }}", dense)
    real = sum(dense({"messages": [{"content": text}]}) for text in texts)
    assert at_most(found) >= real * INPUT


def test_the_sample_is_spread_over_all_requests() -> None:
    counted: list[str] = []

    def counts(params: dict[str, Any]) -> int:
        counted.append(params["messages"][0]["content"])
        return 100

    offer(pa.table({"number": list(range(10_000))}), "{{ number }}", counts)
    places = sorted(int(text) * 4 // 10_000 for text in counted[1:])
    assert len(places) == 19
    assert set(places) == {0, 1, 2, 3}


REQUESTS = st.lists(
    st.tuples(st.integers(3, 5_000), st.floats(2, 9)), min_size=1, max_size=40
)


@given(REQUESTS, st.integers(1, 2_000), st.data())
def test_the_bound_holds_whichever_requests_were_counted(
    requests: list[tuple[int, float]], frame: int, data: st.DataObject
) -> None:
    tokens = [frame + int(size / density) for size, density in requests]
    counted = data.draw(st.sets(st.sampled_from(range(len(requests))), max_size=19))
    samples = [Sample(requests[place][0], 0, tokens[place]) for place in counted]
    prompts = prompt_tokens.counted(
        frame, samples, 200_000, complete=len(counted) == len(requests)
    )
    most = prompts.most(Sizes(np.array([size for size, _ in requests])), 200_000)
    assert (most >= np.array(tokens)).all()


def test_where_all_requests_were_counted_the_bound_is_near_the_count() -> None:
    found = offer(
        pa.table({"text": ["b" * 4_000] * 1 + ["c" * 4_000]}), "{{ text }}", dense
    )
    assert at_most(found) < (2 * 520 * INPUT + 2 * 10 * OUTPUT) * Decimal("1.2")


def test_what_tools_that_are_billed_by_use_will_cost_is_not_known_beforehand() -> None:
    search = {"type": "web_search_20260209", "name": "web_search", "max_uses": 3}
    allowed = {"params": {"tools": [search]}, "allow_params": [search["type"]]}
    found = offer(pa.table({"text": ["a"]}), "{{ text }}", **allowed)
    assert (found.estimate.expected, found.estimate.at_most) == (None, None)
    assert "web_search_20260209: billed by use" in found.estimate.how


def test_tools_of_the_authors_own_cost_their_tokens() -> None:
    own = {"name": "look_up", "input_schema": {"type": "object"}}
    assert (
        at_most(offer(pa.table({"text": ["a"]}), "{{ text }}", params={"tools": [own]}))
        > 0
    )
