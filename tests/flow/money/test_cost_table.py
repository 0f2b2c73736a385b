"""The cost table through SQL, with the very query of the documentation."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from tests.support.nights.shop import TARGET, Shop, books_usd, enrichment, texts

from nightbatch.ledger import keys
from nightbatch.spec import locations

DOCUMENT = Path(__file__).parents[3] / "docs" / "money.md"
DOCUMENTED_STATE, DOCUMENTED_MONTH = "s3://lake/_nightbatch/ticket_triage/", "2026-10"


def query() -> str:
    """Read the documented query."""
    found = re.search(
        r"```sql\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found is not None
    return found.group(1)


@pytest.fixture
def state(shop: Shop, tmp_path: Path) -> Path:
    """Buy two nights from two models, a month apart, and copy the cost table to disk."""
    shop.put(texts(20), "dt=1")
    shop.night(enrichment(partition="dt=1"), "dag/1")
    shop.night(enrichment(partition="dt=1", model="claude-sonnet-5-5"), "dag/2")
    shop.wait(32 * 86_400)
    shop.put(texts(20, start=20), "dt=2")
    shop.night(enrichment(partition="dt=2"), "dag/3")
    store = shop.store(locations.state_url(TARGET))
    for entry in store.list(keys.COSTS):
        path = tmp_path / entry.key
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(store.get(entry.key))
    return tmp_path


def test_what_a_target_cost_in_a_month_by_model(shop: Shop, state: Path) -> None:
    month = min(row["month"] for row in shop.costs())
    asked = (
        query().replace(DOCUMENTED_STATE, f"{state}/").replace(DOCUMENTED_MONTH, month)
    )
    rows = duckdb.sql(asked).fetchall()
    costs = {model: sum(r["cost_usd"] for r in shop.costs() if (r["model"], r["month"]) == (model, month))
             for model in ("claude-haiku-4-5", "claude-sonnet-5-5")}  # fmt: skip
    assert {row[0]: (row[1], row[2]) for row in rows} == {
        model: (cost, 20) for model, cost in costs.items()
    }


def test_all_months_and_models_together_are_the_bill(shop: Shop, state: Path) -> None:
    asked = f"SELECT sum(cost_usd), count(DISTINCT month) FROM read_parquet('{state}/costs/*.parquet')"
    total, months = duckdb.sql(asked).fetchall()[0]
    assert Decimal(total) == books_usd(shop.emulator)
    assert months == 2
