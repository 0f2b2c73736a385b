"""Caps: what has been spent for certain, what may still come of it, and whether a purchase keeps below.

Spent is settled from real usage; what is in flight, and what would be bought, count as the most that they may cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from nightbatch.ledger.facts import Claim
from nightbatch.ledger.ledger import Ledger, View
from nightbatch.money import cost_table
from nightbatch.money.billing import price_sums, price_tools
from nightbatch.money.cost_table import Row, newest_first
from nightbatch.money.estimate import Estimate, usd
from nightbatch.money.prices import prices
from nightbatch.spec.locations import canonical
from nightbatch.spec.run_ref import RunRef

ADVICE = "lower max_tokens, set limit, try a smaller model"


@dataclass(frozen=True)
class Spent:
    """US dollars: for certain, and at most for what is in flight; None where a price is not known."""

    paid: Decimal | None = Decimal(0)
    in_flight: Decimal | None = Decimal(0)


@dataclass(frozen=True)
class Cap:
    """A limit by its parameter's name, and what counts against it."""

    name: str
    limit: float
    spent: Spent
    whose: str

    def refuses(self, estimate: Estimate) -> str | None:
        """Say why a purchase must not be made; None where it may."""
        paid, flying, most = self.spent.paid, self.spent.in_flight, estimate.at_most
        if not estimate.requests:
            return None
        if paid is None or flying is None or most is None:
            return (
                f"{self.name}={self.limit:g} cannot be kept: the model's price is not known, or params are billed by "
                "use, or a result reported usage that cannot be. Nothing was bought by this task. Give the model's "
                "price in a file named by NIGHTBATCH_PRICES, leave out what is billed by use, or take the cap away."
            )
        total = paid + flying + most
        if total <= Decimal(str(self.limit)):
            return None
        return (
            f"{estimate.requests:,} requests may cost {most:.4f} USD, as an estimate ({usd(estimate.expected)} "
            f"expected; {estimate.how}). With {paid:.4f} USD spent and an estimate of at most {flying:.4f} USD in "
            f"flight by {self.whose} that is {total:.4f} USD, above {self.name}={self.limit:g}. Nothing was bought by "
            f"this task: raise {self.name}, or {ADVICE}; a run over fewer rows also gives the history that makes the "
            "bound a better one."
        )


def total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Add up amounts; None if one is not known."""
    known = list(amounts)
    return (
        None
        if None in known
        else sum((one for one in known if one is not None), Decimal(0))
    )


LIFE = timedelta(days=35)
"""No run is older: results can be fetched for 29 days."""
ENOUGH_ANSWERS, MOST_FILES = 2_000, 100


def read(ref: RunRef, question: str, ledger: Ledger, now: datetime) -> list[Row]:
    """Read as much of the cost table as caps and history need."""
    since = (
        min(now - LIFE, now.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
        if _capped(ref)
        else now
    )
    rows: list[Row] = []
    answers = 0
    for row in newest_first(ledger):
        if row["created_at"] < since and (
            answers >= ENOUGH_ANSWERS or len(rows) >= MOST_FILES
        ):
            break
        rows.append(row)
        answers += row["billed"] if row["question"] == question else 0
    return rows


def caps(
    ref: RunRef, ledger: Ledger, view: View, rows: list[Row], now: datetime
) -> Iterator[Cap]:
    """Name the caps of a run, each with what counts against it already."""
    claims = [ledger.claim(shard) for shard in view.in_flight] if _capped(ref) else []
    if ref.max_cost_usd is not None:
        mine = [
            row
            for row in rows
            if is_of_run(ref, row["run"], row["target"], row["partition"])
        ]
        flying = [
            claim
            for claim in claims
            if is_of_run(ref, claim.buyer, claim.target, claim.partition)
        ]
        yield Cap("max_cost_usd", ref.max_cost_usd, _spent(mine, flying), "this run")
    if ref.max_monthly_cost_usd is not None:
        month = cost_table.month(now)
        theirs = [
            row
            for row in rows
            if row["month"] == month and is_for_target(ref, row["target"])
        ]
        flying = [claim for claim in claims if is_for_target(ref, claim.target)]
        yield Cap(
            "max_monthly_cost_usd",
            ref.max_monthly_cost_usd,
            _spent(theirs, flying),
            f"the target in {month}",
        )


def _capped(ref: RunRef) -> bool:
    return ref.max_cost_usd is not None or ref.max_monthly_cost_usd is not None


def is_of_run(ref: RunRef, buyer: str, target: str, partition: str) -> bool:
    """Tell whether a fact tells of what this run has bought."""
    return (buyer, partition) == (ref.buyer, ref.partition) and is_for_target(
        ref, target
    )


def is_for_target(ref: RunRef, target: str) -> bool:
    """Tell whether a fact is about the run's target: version 0.1 noted targets as they were typed."""
    return canonical(target) == canonical(ref.target)


def _spent(rows: Iterable[Row], flying: Iterable[Claim]) -> Spent:
    known = list(rows)
    paid = total(
        _priced_now(row) if row["cost_usd"] is None else row["cost_usd"]
        for row in known
    )
    unclear = (_unclear(row) for row in known if row["missing"])
    return Spent(
        paid,
        total([*(cost_table.amount(claim.at_most_usd) for claim in flying), *unclear]),
    )


def _unclear(row: Row) -> Decimal | None:
    """Say what requests may have cost whose results were missing from their batch."""
    most: Decimal | None = row["at_most_usd"]
    return None if most is None else most * row["missing"] / row["requests"]


def _priced_now(row: Row) -> Decimal | None:
    """Price what had no known price when it landed; None where it still has none, or its usage cannot be."""
    if row.get("unknown_usage"):
        return None
    tokens = {name: row[column] for name, column in cost_table.TOKEN_COLUMNS.items()}
    uses = {
        name: row.get(column) or 0 for name, column in cost_table.TOOL_COLUMNS.items()
    }
    return total(
        [price_sums(prices(), row["model"], tokens), price_tools(prices(), uses)]
    )
