"""Money for a person: one form, in which no amount looks like nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from nightbatch.amounts import usd


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "unknown"),
        (Decimal(0), "$0"),
        (0.0, "$0"),
        (Decimal("0.000208500000"), "$0.0002"),
        (Decimal("0.00000348"), "$0.000003"),
        (1e-12, "$0.000000000001"),
        (Decimal("1234.5"), "$1,234.5000"),
        (-0.25, "-$0.2500"),
    ],
)
def test_an_amount_has_enough_digits(amount: Decimal | float | None, text: str) -> None:
    assert usd(amount) == text
