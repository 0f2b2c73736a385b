"""Whatever happens over some nights, by chance: the bill is the books', and nothing is bought twice unasked."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from tests.support.nights.shop import Shop, books_usd, enrichment, texts

from nightbatch import Prompt

SYSTEM = "Answer in one sentence, as a clerk of the billing desk would. " * 300
LOST = ("unknown_stop", "expired", "errored", "canceled")
SETTLED = ("refusal", "max_tokens", "context_window")


def faults(chance: random.Random) -> list[dict[str, Any]]:
    """Let some rows be lost, billed or not, some be refused, and some streams and creates break."""
    rows = [
        {"where": "row", "what": what, "probability": 0.15}
        for what in chance.sample(LOST + SETTLED, 2)
    ]
    broken = [
        {"where": "results", "what": "cut_clean", "count": 1, "at": 0.5},
        {"where": "create", "what": "rate_limit", "count": 1},
    ]
    return [{**fault, "seed": chance.randrange(1_000)} for fault in rows + broken]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_target_the_cost_table_and_the_books_tell_one_sum(
    shop: Shop, seed: int
) -> None:
    chance = random.Random(seed)
    prompt = Prompt(user="{{ body }}", system=SYSTEM if seed == 3 else None)
    bodies, told = texts(40), Decimal(0)
    for night in range(4):
        shop.emulator.faults(*faults(chance), replace=True)
        bodies = [
            f"{body}, still" if chance.random() < 0.2 else body for body in bodies
        ] + chance.sample(bodies, 5)
        partition = f"dt={chance.randrange(3)}"
        shop.put(bodies, partition)
        ref = shop.prepare(
            enrichment(partition=partition, prompt=prompt, min_answered=0),
            f"dag/{night}",
        )
        shop.waves(ref, first=0)
        told += Decimal(str(shop.publish(ref)["cost_usd"]))
    books = books_usd(shop.emulator)
    assert shop.target_cost() == books.quantize(Decimal("1e-9"))
    assert sum((row["cost_usd"] for row in shop.costs()), Decimal(0)) == books
    assert abs(told - books) < Decimal("0.00001")
