"""The report of a published partition: counts of requests and answers, what they cost and what was saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nightbatch.amounts import usd
from nightbatch.ledger.facts import LandedFact
from nightbatch.money.caps import total
from nightbatch.money.cost_table import amount
from nightbatch.money.totals import cost, dollars
from nightbatch.wording import counted

Report = dict[str, Any]


@dataclass(frozen=True)
class Saved:
    """US dollars saved by each measure, compared with the cost without it; None if that is unknown.

    batch: compared with the standard price. cache: compared with all tokens as plain input; below zero if cache writes
    cost more than cache reads saved. reuse: the cost of requests that other runs bought. duplicates: the cost of
    rows that share a request with another row.
    """

    batch: Decimal | None
    cache: Decimal | None
    reuse: Decimal | None
    duplicates: Decimal | None

    def to_json(self) -> dict[str, float | None]:
        """Return the four as numbers."""
        return {
            name: dollars(getattr(self, name))
            for name in ("batch", "cache", "reuse", "duplicates")
        }


def money(facts: list[LandedFact]) -> Mapping[str, Any]:
    """Return the estimated and the paid cost of a run's batches, in total and by attempt.

    A second batch of a shard that was found late is paid, but was not planned: no estimate includes it.
    """
    claims = [fact.claim for fact in facts]
    planned_claims = [claim for claim in claims if claim.batch is None]
    expected_costs = [amount(claim.estimated_usd) for claim in planned_claims]
    maximum_costs = [amount(claim.at_most_usd) for claim in planned_claims]
    estimate_methods = {claim.how for claim in planned_claims if claim.how}
    attempt_numbers = sorted({claim.attempt for claim in claims})
    paid = cost(facts)
    return {
        "cost_usd": dollars(paid),
        "estimated_usd": dollars(total(expected_costs)),
        "at_most_usd": dollars(total(maximum_costs)),
        "estimated_how": sorted(estimate_methods),
        "by_attempt": [_attempt(facts, number) for number in attempt_numbers],
    }


def _attempt(facts: list[LandedFact], attempt_number: int) -> Report:
    attempt_facts = [fact for fact in facts if fact.claim.attempt == attempt_number]
    request_counts = [fact.claim.total for fact in attempt_facts]
    paid = cost(attempt_facts)
    return {
        "attempt": attempt_number,
        "batches": len(attempt_facts),
        "requests": sum(request_counts),
        "cost_usd": dollars(paid),
    }


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Say what was published, bought and paid."""
    yield _published(report)
    yield _bought(report)
    yield _cost(report)


def _published(report: Mapping[str, Any]) -> str:
    rows = counted(report["rows"], "row")
    place = report["target"] + report["partition"]
    statuses = _statuses(report["by_status"])
    return f"Published {rows} in {place}: {statuses}."


def _bought(report: Mapping[str, Any]) -> str:
    requests = counted(report["bought"], "request")
    batches = counted(report["batches"], "batch", "batches")
    answers = counted(report["reused"], "answer")
    return f"Bought {requests} in {batches}, reused {answers}."


def _cost(report: Mapping[str, Any]) -> str:
    cost_usd = usd(report["cost_usd"])
    estimated_usd = usd(report["estimated_usd"])
    return f"Cost {cost_usd}, estimated {estimated_usd}."


def _statuses(counts: Mapping[str, int]) -> str:
    """List the counts of rows by status."""
    statuses = [f"{count:,} {status}" for status, count in counts.items()]
    return ", ".join(statuses) or "none"
