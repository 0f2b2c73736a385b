"""Which caps a run has, and what counts against each: the cost table's rows, and claims that have not landed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from nightbatch.core import costs
from nightbatch.core.bill import price_sums, price_tools
from nightbatch.core.budget import Cap, Spent, total
from nightbatch.core.facts import Claim, RunRef
from nightbatch.core.locations import canonical
from nightbatch.steps.costs import Row, newest_first
from nightbatch.steps.ledger import Ledger, View
from nightbatch.steps.prices import prices

LIFE = timedelta(days=35)
"""No run is older: results can be fetched for 29 days."""
ENOUGH_ANSWERS, MOST_FILES = 2_000, 100


def read(ref: RunRef, question: str, ledger: Ledger, now: datetime) -> list[Row]:
    """Read as much of the cost table as caps and history need."""
    since = min(now - LIFE, now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)) if _capped(ref) else now
    rows: list[Row] = []
    answers = 0
    for row in newest_first(ledger):
        if row["created_at"] < since and (answers >= ENOUGH_ANSWERS or len(rows) >= MOST_FILES):
            break
        rows.append(row)
        answers += row["billed"] if row["question"] == question else 0
    return rows


def caps(ref: RunRef, ledger: Ledger, view: View, rows: list[Row], now: datetime) -> Iterator[Cap]:
    """Name the caps of a run, each with what counts against it already."""
    claims = [ledger.claim(shard) for shard in view.in_flight] if _capped(ref) else []
    if ref.max_cost_usd is not None:
        mine = [row for row in rows if is_of_run(ref, row["run"], row["target"], row["partition"])]
        flying = [claim for claim in claims if is_of_run(ref, claim.buyer, claim.target, claim.partition)]
        yield Cap("max_cost_usd", ref.max_cost_usd, _spent(mine, flying), "this run")
    if ref.max_monthly_cost_usd is not None:
        month = costs.month(now)
        theirs = [row for row in rows if row["month"] == month and is_for_target(ref, row["target"])]
        flying = [claim for claim in claims if is_for_target(ref, claim.target)]
        yield Cap("max_monthly_cost_usd", ref.max_monthly_cost_usd, _spent(theirs, flying), f"the target in {month}")


def _capped(ref: RunRef) -> bool:
    return ref.max_cost_usd is not None or ref.max_monthly_cost_usd is not None


def is_of_run(ref: RunRef, buyer: str, target: str, partition: str) -> bool:
    """Tell whether a fact tells of what this run has bought."""
    return (buyer, partition) == (ref.buyer, ref.partition) and is_for_target(ref, target)


def is_for_target(ref: RunRef, target: str) -> bool:
    """Tell whether a fact is about the run's target: version 0.1 noted targets as they were typed."""
    return canonical(target) == canonical(ref.target)


def _spent(rows: Iterable[Row], flying: Iterable[Claim]) -> Spent:
    known = list(rows)
    paid = total(_priced_now(row) if row["cost_usd"] is None else row["cost_usd"] for row in known)
    unclear = (_unclear(row) for row in known if row["missing"])
    return Spent(paid, total([*(costs.amount(claim.at_most_usd) for claim in flying), *unclear]))


def _unclear(row: Row) -> Decimal | None:
    """Say what requests may have cost whose results were missing from their batch."""
    most: Decimal | None = row["at_most_usd"]
    return None if most is None else most * row["missing"] / row["requests"]


def _priced_now(row: Row) -> Decimal | None:
    """Price what had no known price when it landed; None where it still has none, or its usage cannot be."""
    if row.get("unknown_usage"):
        return None
    tokens = {name: row[column] for name, column in costs.TOKEN_COLUMNS.items()}
    uses = {name: row.get(column) or 0 for name, column in costs.TOOL_COLUMNS.items()}
    return total([price_sums(prices(), row["model"], tokens), price_tools(prices(), uses)])
