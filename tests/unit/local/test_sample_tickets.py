"""The sample is the same every time, and as unpleasant as real tickets are."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from nightbatch.local.sample_tickets import NIGHTS, parts, sample
from nightbatch.local.stack.settings import PROJECT

ASKED = ("product", "channel", "plan", "subject", "body")


@pytest.fixture(scope="module")
def nights() -> dict[str, pa.Table]:
    return sample(PROJECT, rows=1_000)


def asked(night: pa.Table) -> list[tuple[object, ...]]:
    return [tuple(row[name] for name in ASKED) for row in night.to_pylist()]


def test_the_same_tickets_come_every_time(nights: dict[str, pa.Table]) -> None:
    assert sample(PROJECT, rows=1_000) == nights
    assert tuple(nights) == NIGHTS


def test_keys_are_unique_within_a_night(nights: dict[str, pa.Table]) -> None:
    for night in nights.values():
        assert len(pc.unique(night["ticket_id"])) == night.num_rows


def test_many_tickets_have_the_same_text(nights: dict[str, pa.Table]) -> None:
    texts = asked(nights[NIGHTS[0]])
    assert 0.05 < 1 - len(set(texts)) / len(texts) < 0.15


def test_a_fifth_of_the_second_night_is_new_or_changed(
    nights: dict[str, pa.Table],
) -> None:
    known = set(asked(nights[NIGHTS[0]]))
    fresh = [text for text in asked(nights[NIGHTS[1]]) if text not in known]
    assert len(fresh) / nights[NIGHTS[1]].num_rows == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    "odd",
    ["{{", "\0", "🏳️‍🌈", "العربية"[:2], "\u2028", '"', "\\", "\r\n", "<script>", "</p>"],
)
def test_odd_characters_are_there(nights: dict[str, pa.Table], odd: str) -> None:
    bodies = (
        nights[NIGHTS[0]]["body"].to_pylist() + nights[NIGHTS[0]]["subject"].to_pylist()
    )
    assert any(odd in body for body in bodies if body)


def test_nulls_and_very_long_texts_are_there(nights: dict[str, pa.Table]) -> None:
    night = nights[NIGHTS[0]]
    assert night["body"].null_count
    assert night["subject"].null_count
    assert pc.max(pc.utf8_length(night["body"])).as_py() >= 20_000


def test_parts_make_the_whole_in_order(nights: dict[str, pa.Table]) -> None:
    night = nights[NIGHTS[0]]
    assert pa.concat_tables(parts(night).values()) == night
    assert list(parts(night)) == sorted(parts(night))
