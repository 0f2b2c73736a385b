"""When a human is asked, and what stands on the form."""

from __future__ import annotations

from decimal import Decimal

import pytest

from nightbatch.ids import Snapshot
from nightbatch.money.approval import ApprovalForm, approval_form
from nightbatch.money.estimate import Estimate
from nightbatch.spec.rules import Rules
from nightbatch.spec.run_ref import RunRef


def ask(
    limit: float | None, at_most: str | None, requests: int = 3
) -> ApprovalForm | None:
    """Put the question for a purchase that is expected to cost 2 USD less than it may."""
    ref = RunRef(
        state="s3://lake/_nightbatch/t/", target="s3://lake/t/", partition="dt=1", snapshot=Snapshot("s"),
        buyer="dag/1", rows=5, requests=4, rules=Rules(approve_above_usd=limit),
    )  # fmt: skip
    most = None if at_most is None else Decimal(at_most)
    expected = None if most is None else max(Decimal(0), most - 2)
    return approval_form(
        ref,
        Estimate(requests, 30, 20, expected, most, "known"),
        asked=4,
        notes=("a note",),
    )


@pytest.mark.parametrize(
    ("limit", "at_most"), [(None, "1000"), (10, "10"), (10, "0.5"), (None, None)]
)
def test_nobody_is_asked_without_a_limit_or_below_it(
    limit: float | None, at_most: str | None
) -> None:
    assert ask(limit, at_most) is None


def test_nobody_is_asked_where_nothing_is_bought() -> None:
    assert ask(0, None, requests=0) is None


def test_a_person_is_asked_above_the_limit_and_sees_that_the_costs_are_estimates() -> (
    None
):
    asked = ask(10, "10.01")
    assert asked is not None
    assert asked.subject == "Buy 3 requests for an estimated $8.0100, at most $10.0100?"
    assert "| estimated cost | $8.0100 |" in asked.body
    assert "| estimated cost, at most | $10.0100 |" in asked.body
    assert "The costs are estimates made before the purchase" in asked.body
    assert "a note" in asked.body
    assert "Without an answer within 12 hours nothing is bought." in asked.body


def test_a_person_is_asked_where_the_price_is_unknown() -> None:
    asked = ask(10, None)
    assert asked is not None
    assert "an unknown price" in asked.subject
