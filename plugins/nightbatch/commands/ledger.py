"""List the claims of a state: which batch each became, and what each waits for.

Shards that have landed are counted, not listed.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from nightbatch.hooks import console


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("state", help="the state's URL, such as s3://lake/_nightbatch/ticket_triage/")
    console.arguments(parser)


def run(given: Namespace) -> int:
    """List what is in flight."""
    from nightbatch.steps.ledger import Ledger

    ledger = Ledger(console.store(given.state, given))
    view = ledger.view()
    print(f"{len(view.claimed)} claims, {len(view.landed)} landed, {len(view.in_flight)} in flight")
    for shard in view.in_flight:
        bought = ledger.batch(shard)
        print(f"{shard}  {bought.batch if bought else 'no batch yet'}")
    return 0
