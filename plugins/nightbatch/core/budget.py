"""Caps: what has been spent for certain, what may still come of it, and whether a purchase keeps below.

Spent is settled from real usage; what is in flight, and what would be bought, count as the most that they may cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from nightbatch.core.estimate import Estimate, usd

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
    return None if None in known else sum((one for one in known if one is not None), Decimal(0))
