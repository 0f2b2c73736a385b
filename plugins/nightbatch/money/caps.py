"""Caps: what has been paid, what may still have to be paid, and whether a purchase stays below the limit.

What was paid follows from real usage. What is in flight, and what would be bought, count at their maximum cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from nightbatch.amounts import usd
from nightbatch.ledger.facts import Claim
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.view import LedgerView
from nightbatch.money import cost_table
from nightbatch.money.billing.bill import price_sums, price_tools
from nightbatch.money.cost_table import Row, newest_first
from nightbatch.money.estimate import Estimate
from nightbatch.money.prices import prices
from nightbatch.spec.locations import canonical
from nightbatch.spec.run_ref import RunRef

ADVICE = "lower max_tokens, set limit, try a smaller model"


@dataclass(frozen=True)
class AgainstCap:
    """US dollars: what was paid, and the maximum cost of what is in flight; None where a price is not known."""

    paid: Decimal | None = Decimal(0)
    in_flight: Decimal | None = Decimal(0)


@dataclass(frozen=True)
class Cap:
    """A limit by its parameter's name, and what counts against it."""

    name: str
    limit: float
    spent: AgainstCap
    spender: str

    def refuses(self, estimate: Estimate) -> str | None:
        """Say why a purchase must not be made; None where it may."""
        if not estimate.requests:
            return None
        paid = self.spent.paid
        in_flight = self.spent.in_flight
        at_most = estimate.at_most
        if paid is None or in_flight is None or at_most is None:
            return self._why_uncheckable()
        total_usd = paid + in_flight + at_most
        if total_usd <= Decimal(str(self.limit)):
            return None
        return (
            f"{estimate.requests:,} requests may cost {usd(at_most)}, as an estimate ({usd(estimate.expected)} "
            f"expected; {estimate.how}). With {usd(paid)} spent and an estimate of at most {usd(in_flight)} in "
            f"flight by {self.spender} that is {usd(total_usd)}, above {self.name}={self.limit:g}. Nothing was "
            f"bought by this task: raise {self.name}, or {ADVICE}; a run over fewer rows also gives the history that "
            "makes the estimate better."
        )

    def _why_uncheckable(self) -> str:
        return (
            f"{self.name}={self.limit:g} cannot be checked: the model's price is not known, or params are billed "
            "by use, or a result reported usage that cannot be. Nothing was bought by this task. Give the "
            "model's price in a file named by NIGHTBATCH_PRICES, leave out what is billed by use, or "
            "remove the cap."
        )


def total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Add up amounts; None if one is not known."""
    total_usd = Decimal(0)
    all_amounts = list(amounts)
    for amount in all_amounts:
        if amount is None:
            return None
        total_usd += amount
    return total_usd


LONGEST_RUN = timedelta(days=35)
"""No run is older: results can be fetched for 29 days."""
ENOUGH_ANSWERS = 2_000
MOST_FILES = 100
"""How many answers the history of a question needs, and how many files are read for it."""


def read(ref: RunRef, question: str, ledger: Ledger, now: datetime) -> list[Row]:
    """Read as much of the cost table as caps and history need."""
    since = _oldest_needed(ref, now)
    rows: list[Row] = []
    answer_count = 0
    for row in newest_first(ledger):
        is_enough = answer_count >= ENOUGH_ANSWERS or len(rows) >= MOST_FILES
        if is_enough and row["created_at"] < since:
            break
        rows.append(row)
        if row["question"] == question:
            answer_count += row["billed"]
    return rows


def _oldest_needed(ref: RunRef, now: datetime) -> datetime:
    """Return since when caps need all rows: since the run may have begun and the month has begun."""
    if not ref.rules.has_cap:
        return now
    oldest_run_start = now - LONGEST_RUN
    return min(oldest_run_start, _month_start(now))


def _month_start(now: datetime) -> datetime:
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def caps(
    ref: RunRef, ledger: Ledger, view: LedgerView, rows: list[Row], now: datetime
) -> Iterator[Cap]:
    """Name the caps of a run, each with what counts against it already."""
    if not ref.rules.has_cap:
        return
    claims = [ledger.claim(shard) for shard in view.in_flight]
    if ref.rules.max_cost_usd is not None:
        spent_by_run = _spent_by_run(ref, rows, claims)
        yield Cap("max_cost_usd", ref.rules.max_cost_usd, spent_by_run, "this run")
    if ref.rules.max_monthly_cost_usd is not None:
        month = cost_table.month(now)
        spent_in_month = _spent_in_month(ref, rows, claims, month)
        yield Cap(
            "max_monthly_cost_usd",
            ref.rules.max_monthly_cost_usd,
            spent_in_month,
            f"the target in {month}",
        )


def _spent_by_run(ref: RunRef, rows: list[Row], claims: list[Claim]) -> AgainstCap:
    run_rows = [
        row
        for row in rows
        if is_of_run(ref, row["run"], row["target"], row["partition"])
    ]
    run_claims = [
        claim
        for claim in claims
        if is_of_run(ref, claim.buyer, claim.target, claim.partition)
    ]
    return _against_cap(run_rows, run_claims)


def _spent_in_month(
    ref: RunRef, rows: list[Row], claims: list[Claim], month: str
) -> AgainstCap:
    """Return what the target has spent in a month, and all that it has in flight."""
    month_rows = [
        row
        for row in rows
        if row["month"] == month and is_for_target(ref, row["target"])
    ]
    target_claims = [claim for claim in claims if is_for_target(ref, claim.target)]
    return _against_cap(month_rows, target_claims)


def is_of_run(ref: RunRef, buyer: str, target: str, partition: str) -> bool:
    """Tell whether this run has bought what a fact is about."""
    if buyer != ref.buyer or partition != ref.partition:
        return False
    return is_for_target(ref, target)


def is_for_target(ref: RunRef, target: str) -> bool:
    """Tell whether a fact is about the run's target: version 0.1 stored targets as they were typed."""
    return canonical(target) == canonical(ref.target)


def _against_cap(rows: list[Row], claims: list[Claim]) -> AgainstCap:
    paid_amounts: list[Decimal | None] = []
    possible_amounts: list[Decimal | None] = []
    for claim in claims:
        claimed_amount = cost_table.amount(claim.at_most_usd)
        possible_amounts.append(claimed_amount)
    for row in rows:
        paid_amounts.append(_paid(row))
        if row["missing"]:
            missing_amount = _at_most_for_missing(row)
            possible_amounts.append(missing_amount)
    return AgainstCap(
        paid=total(paid_amounts),
        in_flight=total(possible_amounts),
    )


def _paid(row: Row) -> Decimal | None:
    paid: Decimal | None = row["cost_usd"]
    return _priced_now(row) if paid is None else paid


def _at_most_for_missing(row: Row) -> Decimal | None:
    """Return the maximum cost of the requests whose results were missing from their batch."""
    at_most: Decimal | None = row["at_most_usd"]
    if at_most is None:
        return None
    missing_count: int = row["missing"]
    request_count: int = row["requests"]
    return at_most * missing_count / request_count


def _priced_now(row: Row) -> Decimal | None:
    """Price what had no known price when it landed; None if it still has none, or its usage is impossible."""
    if row.get("unknown_usage"):
        return None
    table = prices()
    model = row["model"]
    token_counts = _token_counts(row)
    tool_uses = _tool_uses(row)
    tokens_usd = price_sums(table, model, token_counts)
    tools_usd = price_tools(table, tool_uses)
    return total([tokens_usd, tools_usd])


def _token_counts(row: Row) -> dict[str, int]:
    columns = cost_table.TOKEN_COLUMNS
    return {name: row[column] for name, column in columns.items()}


def _tool_uses(row: Row) -> dict[str, int]:
    columns = cost_table.TOOL_COLUMNS
    return {name: row.get(column) or 0 for name, column in columns.items()}
