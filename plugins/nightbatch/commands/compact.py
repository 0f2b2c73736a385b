"""Gather the ids of landed shards into a few sorted files, so that plans and publications over years read them fast.

Nothing is changed or removed, and what readers see stays the same; if it is interrupted, run it again.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from nightbatch.commands import _ports


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    _ports.state_argument(parser)
    _ports.arguments(parser, api=False)


def run(options: Namespace) -> int:
    """Write the indexes that are missing."""
    from nightbatch.ledger.history import compact

    ledger = _ports.ledger(options.state, options)
    landed_shards = ledger.view().landed
    index_keys = compact(ledger.store, landed_shards)
    print(f"{len(landed_shards)} landed shards, {len(index_keys)} indexes written")
    for index_key in index_keys:
        print(index_key)
    return 0
