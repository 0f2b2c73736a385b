"""Gather the ids of landed shards into a few sorted files, so that plans and publications over years read them fast.

Nothing is changed or removed, and what readers see stays the same; if it is interrupted, run it again.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from nightbatch.commands import _ports, _printing, _states
from nightbatch.wording import counted


def arguments(parser: ArgumentParser) -> None:
    """Declare the command's flags."""
    _states.argument(parser)
    _ports.arguments(parser, api=False)
    _printing.argument(parser)


def run(options: Namespace) -> int:
    """Write the indexes that are missing."""
    from nightbatch.ledger.history.history import compact

    ledger = _states.ledger(options)
    landed_shards = ledger.view().landed
    index_keys = compact(ledger.store, landed_shards)
    result = {"landed": len(landed_shards), "indexes": index_keys}
    shards = counted(len(landed_shards), "landed shard")
    indexes = counted(len(index_keys), "index", "indexes")
    _printing.show(options, result, [f"{shards}, {indexes} written", *index_keys])
    return 0
