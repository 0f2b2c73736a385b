"""The judge: what was bought twice, which paid answers were lost; and the table of cases that the tests write.

What an emulator has sold is read from its own books, request by request as they were sent, whatever their names.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.crashes.turned import until
from tests.support.nights.flow import Flow, RealWorld
from tests.support.servers import account

from nightbatch.columnar import parquet
from nightbatch.emulator.embedded import Emulator
from nightbatch.io.memory_api import MemoryBatches
from nightbatch.ledger import keys
from nightbatch.messages.outcome import SETTLED
from nightbatch.ports import Store

TABLE = "NIGHTBATCH_TABLE"
"""Names the file into which the table of cases is written, between the marks."""
BEGIN, END = "<!-- cases: begin -->", "<!-- cases: end -->"


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
    told = (json.loads(line) for line in lines)
    names = (row["custom_id"] for row in told if row["result"]["type"] == "succeeded")
    return {bytes.fromhex(name) for name in names if len(name) == 40}


def landed(store: Store) -> set[bytes]:
    """Name the requests that are settled in a ledger."""
    found: set[bytes] = set()
    for entry in store.list(keys.LANDED):
        for row in parquet.table(store, entry.key, ["id", "status"]).to_pylist():
            if row["status"] in SETTLED:
                found.add(row["id"])
    return found


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
        twice, bought = (
            _twice_by_the_books(emulator),
            _answered(account.results(emulator)),
        )
    else:
        api = world.api()
        assert isinstance(api, MemoryBatches)
        sold = _sold(api)
        twice, bought = sold.total() - len(sold), set(sold)
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


@dataclass
class Table:
    """The cases that were seen, in the order in which they were."""

    rows: dict[tuple[str, str, str], Verdict] = field(default_factory=dict)

    def add(self, where: str, case: str, happens: str, seen: Verdict) -> None:
        """Add a case; seen again, its figures add up."""
        before = self.rows.get((where, case, happens), Verdict(0, 0))
        self.rows[where, case, happens] = Verdict(
            before.twice + seen.twice, before.lost + seen.lost
        )

    def sections(self) -> dict[str, str]:
        """Return the tables as Markdown, one for each place."""
        found: dict[str, str] = {}
        for place in dict.fromkeys(where for where, _, _ in self.rows):
            parts = [
                f"### {place}",
                "",
                "| case | what happens | bought twice | lost |",
                "|---|---|---:|---:|",
            ]
            cases = [
                (case, told, seen)
                for (where, case, told), seen in self.rows.items()
                if where == place
            ]
            parts += [
                f"| {case} | {told} | {seen.twice} | {seen.lost} |"
                for case, told, seen in cases
            ]
            found[place] = "\n".join([*parts, ""])
        return found

    def write(self) -> None:
        """Write the tables into the file that the environment names, if it does; leave other places' as they are."""
        if not (name := os.environ.get(TABLE)) or not self.rows:
            return
        file = Path(name)
        before, _, rest = file.read_text().partition(BEGIN)
        inside, _, after = rest.partition(END)
        stand = {
            part.partition("\n")[0]: f"### {part.rstrip()}\n"
            for part in inside.split("### ")[1:]
        }
        tables = "\n".join((stand | self.sections()).values())
        file.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{after}")


CASES = Table()
"""The cases of this session, wherever they were seen."""


Judged = Callable[..., Verdict]


TEXTS = ["alpha", "beta", "gamma", "beta", "delta"]
"""The rows of a source partition on real servers."""


@pytest.fixture(scope="session")
def table() -> Iterator[Table]:
    """Gather the cases of the session; where the environment asks for it, write them down at its end."""
    yield CASES
    CASES.write()


@pytest.fixture
def judged(table: Table) -> Judged:
    """Return how a case is judged: nothing was bought twice and no paid answer was lost; and noted in the table."""

    def judge(
        where: str, case: str, happens: str, *flows: Flow, twice: int = 0
    ) -> Verdict:
        seen = verdict(*flows)
        table.add(where, case, happens, seen)
        assert seen == Verdict(twice, 0)
        return seen

    return judge
