"""The judge: what was bought twice, and which paid answers were lost.

What an emulator has sold is read from its own books, request by request as they were sent, whatever their names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tests.support.crashes.turned import until
from tests.support.nights.flow import Flow
from tests.support.nights.real import RealWorld
from tests.support.servers import account

from nightbatch.columnar import parquet
from nightbatch.emulator.embedded import Emulator
from nightbatch.io.memory_api import MemoryBatches
from nightbatch.ledger import keys
from nightbatch.messages.outcome import SETTLED
from nightbatch.ports import Store


def _sold(api: MemoryBatches) -> Counter[bytes]:
    """Count how often an API in memory has answered each of our requests, whether that can still be read or not."""
    return Counter(
        {
            bytes.fromhex(name): count
            for name, count in api.bought().items()
            if len(name) == 40
        }
    )


def _answered(lines: Iterable[bytes]) -> set[bytes]:
    """Name our requests that were answered, by lines of results."""
    rows = (json.loads(line) for line in lines)
    names = (row["custom_id"] for row in rows if row["result"]["type"] == "succeeded")
    return {bytes.fromhex(name) for name in names if len(name) == 40}


def landed(store: Store) -> set[bytes]:
    """Name the requests that are settled in a ledger."""
    settled_ids: set[bytes] = set()
    for entry in store.list(keys.LANDED):
        table = parquet.table(store, entry.key, ["id", "status"])
        for row in table.to_pylist():
            if row["status"] in SETTLED:
                settled_ids.add(row["id"])
    return settled_ids


@dataclass(frozen=True)
class Verdict:
    """Requests that were bought more often than once, and paid answers that no ledger has."""

    twice: int
    lost: int


def verdict(*flows: Flow) -> Verdict:
    """Judge what the flows of one account have done. An API in memory also tells what it can no longer show."""
    world = flows[0].world
    if isinstance(world, RealWorld):
        emulator = Emulator(world.emulator)
        twice = _twice_by_the_books(emulator)
        bought = _answered(account.results(emulator))
    else:
        api = world.api()
        assert isinstance(api, MemoryBatches)
        sold = _sold(api)
        twice = sold.total() - len(sold)
        bought = set(sold)
    kept: set[bytes] = set()
    for flow in flows:
        kept |= landed(flow.ledger.store)
    return Verdict(twice, len(bought - kept))


def _twice_by_the_books(emulator: Emulator) -> int:
    """Count what was sold more than once, once every batch has ended."""
    until(
        lambda: not emulator.books()["batches"].keys() & {"in_progress", "canceling"},
        "every batch to end",
    )
    return int(emulator.books()["bought"]["twice"])
