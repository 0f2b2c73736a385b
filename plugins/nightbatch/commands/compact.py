"""Gather the ids of landed shards into few sorted files, so that plans and publications over years read them fast.

Nothing is changed or removed, and what readers see stays the same; cut short, it is simply begun again.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from nightbatch.commands import _ports


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "state", help="the state's URL, such as s3://lake/_nightbatch/ticket_triage/"
    )
    _ports.arguments(parser, api=False)


def run(given: Namespace) -> int:
    """Write the indexes that are missing."""
    from nightbatch.ledger.history import compact

    ledger = _ports.ledger(given.state, given)
    landed = ledger.view().landed
    made = compact(ledger.store, landed)
    print(f"{len(landed)} landed shards, {len(made)} indexes written")
    for key in made:
        print(key)
    return 0
