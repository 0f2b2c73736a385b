"""The question that a human is asked before money is spent: figures, no row and no prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nightbatch.errors import SettingsError
from nightbatch.messages.safe_words import printable
from nightbatch.money.estimate import Estimate, usd
from nightbatch.spec.run_ref import RunRef

_MARKUP = re.compile(r"[\\`*_{}\[\]<>()#+!|~&$]")


@dataclass(frozen=True)
class Question:
    """What stands on the form."""

    subject: str
    body: str


def question(
    ref: RunRef, estimate: Estimate, *, asked: int, notes: tuple[str, ...]
) -> Question | None:
    """Ask whether to buy; None where it costs nothing, or surely no more than `approve_above_usd`."""
    limit, most = ref.approve_above_usd, estimate.at_most
    if limit is None or not estimate.requests or (most is not None and most <= limit):
        return None
    lines = [
        f"| target | {plain(ref.target)} |",
        f"| partition | {plain(ref.partition or 'whole dataset')} |",
        f"| rows | {ref.rows:,} |",
        f"| different requests | {asked:,} |",
        f"| to be bought | {estimate.requests:,} |",
        f"| estimated cost | {usd(estimate.expected)} |",
        f"| estimated cost, at most | {usd(most)} |",
        f"| approval needed above | {limit:g} USD |",
        f"| estimated tokens | {estimate.input_tokens:,} in, {estimate.output_tokens:,} out |",
        f"| estimated by | {estimate.how} |",
    ]
    table = "\n".join(["| | |", "|---|---|", *lines])
    ends = f"Without an answer within {ref.approve_within_hours:g} hours nothing is bought."
    again = (
        "The costs are estimates made before the purchase, for asking each request once. "
        "Requests that are lost are asked again and may add to it; `max_cost_usd` bounds the whole run."
    )
    price = (
        f"an estimated {usd(estimate.expected)}, at most {usd(most)}"
        if most is not None
        else "an unknown price"
    )
    return Question(
        subject=f"Buy {estimate.requests:,} requests for {price}?",
        body="\n\n".join([table, *map(plain, notes), f"{again} {ends}"]),
    )


def others(approvers: Sequence[str], starter: str | None) -> list[str]:
    """Return the approvers but for the person who started the run. Raises SettingsError where nobody is left."""
    remaining = [user for user in approvers if user != starter]
    if approvers and not remaining:
        raise SettingsError(
            "approvers: the only one started this run, and nobody approves their own run. Name another."
        )
    return remaining


def plain(text: str) -> str:
    """Return a text that Markdown shows as it is: no name can draw a row, a link or a figure of its own."""
    return _MARKUP.sub(r"\\\g<0>", printable(text))
