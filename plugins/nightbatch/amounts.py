"""US dollars as a person reads them: the one form of all messages, logs and tables."""

from __future__ import annotations

from decimal import Decimal

DECIMALS = 4


def usd(amount: Decimal | float | None) -> str:
    """Write an amount, as `$12.3400` or `$0.0002`; the first digit of one that is smaller than that: `$0.000003`."""
    if amount is None:
        return "unknown"
    exact_amount = Decimal(str(amount))
    if not exact_amount:
        return "$0"
    first_digit = -exact_amount.adjusted()
    decimals = max(DECIMALS, first_digit)
    sign = "-" if exact_amount < 0 else ""
    return f"{sign}${abs(exact_amount):,.{decimals}f}"
