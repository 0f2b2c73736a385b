"""The approval form that a person sees before money is spent: figures, no row and no prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nightbatch.amounts import usd
from nightbatch.errors import SettingsError
from nightbatch.messages.safe_words import printable
from nightbatch.money.estimate import Estimate
from nightbatch.spec.run_ref import RunRef

_MARKUP = re.compile(r"[\\`*_{}\[\]<>()#+!|~&$]")


@dataclass(frozen=True)
class ApprovalForm:
    """The text of the form."""

    subject: str
    body: str


def needs_approval(ref: RunRef, estimate: Estimate) -> bool:
    """Tell whether a purchase may cost more than `approve_above_usd`; one of an unknown price may."""
    limit_usd = ref.rules.approve_above_usd
    if limit_usd is None or not estimate.requests:
        return False
    return estimate.at_most is None or estimate.at_most > limit_usd


def approval_form(
    ref: RunRef, estimate: Estimate, *, asked: int, notes: tuple[str, ...]
) -> ApprovalForm | None:
    """Ask whether to buy; None if it costs nothing, or at most `approve_above_usd`."""
    limit_usd = ref.rules.approve_above_usd
    if limit_usd is None or not needs_approval(ref, estimate):
        return None
    table = _table(ref, estimate, limit_usd, asked)
    escaped_notes = map(markdown_escaped, notes)
    deadline = f"Without an answer within {ref.rules.approve_within_hours:g} hours nothing is bought."
    explanation = (
        "The costs are estimates made before the purchase, for asking each request once. "
        "Requests that are lost are asked again and may add to it; `max_cost_usd` bounds the whole run."
    )
    return ApprovalForm(
        subject=f"Buy {estimate.requests:,} requests for {_price(estimate)}?",
        body="\n\n".join([table, *escaped_notes, f"{explanation} {deadline}"]),
    )


def _table(ref: RunRef, estimate: Estimate, limit_usd: float, asked: int) -> str:
    """Write the figures of the purchase as a Markdown table."""
    target = markdown_escaped(ref.target)
    partition = markdown_escaped(ref.partition or "whole dataset")
    lines = [
        "| | |",
        "|---|---|",
        f"| target | {target} |",
        f"| partition | {partition} |",
        f"| rows | {ref.rows:,} |",
        f"| different requests | {asked:,} |",
        f"| to be bought | {estimate.requests:,} |",
        f"| estimated cost | {usd(estimate.expected)} |",
        f"| estimated cost, at most | {usd(estimate.at_most)} |",
        f"| approval needed above | {usd(limit_usd)} |",
        f"| estimated tokens | {estimate.input_tokens:,} in, {estimate.output_tokens:,} out |",
        f"| estimated by | {estimate.how} |",
    ]
    return "\n".join(lines)


def _price(estimate: Estimate) -> str:
    if estimate.at_most is None:
        return "an unknown price"
    return f"an estimated {usd(estimate.expected)}, at most {usd(estimate.at_most)}"


def other_approvers(approvers: Sequence[str], starter: str | None) -> list[str]:
    """Return the approvers without the person who started the run. Raises SettingsError if nobody else is named."""
    remaining_users = [user for user in approvers if user != starter]
    if approvers and not remaining_users:
        raise SettingsError(
            "approvers: the only one started this run, and nobody approves their own run. Name another."
        )
    return remaining_users


def markdown_escaped(text: str) -> str:
    """Escape a text for Markdown, so that no name can add a row, a link or a figure of its own."""
    return _MARKUP.sub(r"\\\g<0>", printable(text))
