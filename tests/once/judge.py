"""The judge: what was bought twice, which paid answers were lost; and the table of cases that the tests write."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.once.flow import Flow

from nightbatch.core import keys
from nightbatch.core.errors import BatchGone
from nightbatch.core.outcome import SETTLED
from nightbatch.core.ports import Batch, Batches, Store
from nightbatch.io.memory_api import MemoryBatches
from nightbatch.steps import sheets

TABLE = "NIGHTBATCH_TABLE"
"""Names the file into which the table of cases is written, between the marks."""
BEGIN, END = "<!-- cases: begin -->", "<!-- cases: end -->"


def paid(api: Batches) -> Counter[bytes]:
    """Count how often each of our requests was answered, in all batches whose results can be read."""
    found: Counter[bytes] = Counter()
    for batch in _all(api):
        if batch.ended:
            found.update(_answered(api, batch))
    return found


def _sold(api: MemoryBatches) -> Counter[bytes]:
    return Counter({bytes.fromhex(name): count for name, count in api.bought().items() if len(name) == 40})


def _all(api: Batches) -> Iterator[Batch]:
    after = None
    while True:
        page = api.page(after)
        yield from page.batches
        if (after := page.next) is None:
            return


def _answered(api: Batches, batch: Batch) -> Iterator[bytes]:
    try:
        with api.results(batch.id) as chunks:
            lines = b"".join(chunks).splitlines()
    except BatchGone:
        return
    for line in lines:
        row = json.loads(line)
        if row["result"]["type"] == "succeeded" and len(row["custom_id"]) == 40:
            yield bytes.fromhex(row["custom_id"])


def landed(store: Store) -> set[bytes]:
    """Name the requests that are settled in a ledger."""
    found: set[bytes] = set()
    for entry in store.list(keys.LANDED):
        for row in sheets.table(store, entry.key, ["id", "status"]).to_pylist():
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
    api = flows[0].world.api()
    bought = _sold(api) if isinstance(api, MemoryBatches) else paid(api)
    kept: set[bytes] = set()
    for flow in flows:
        kept |= landed(flow.ledger.store)
    return Verdict(sum(count - 1 for count in bought.values()), len(bought.keys() - kept))


@dataclass
class Table:
    """The cases that were seen, in the order in which they were."""

    rows: dict[tuple[str, str, str], Verdict] = field(default_factory=dict)

    def add(self, where: str, case: str, happens: str, seen: Verdict) -> None:
        """Add a case; seen again, its figures add up."""
        before = self.rows.get((where, case, happens), Verdict(0, 0))
        self.rows[where, case, happens] = Verdict(before.twice + seen.twice, before.lost + seen.lost)

    def sections(self) -> dict[str, str]:
        """Return the tables as Markdown, one for each place."""
        found: dict[str, str] = {}
        for place in dict.fromkeys(where for where, _, _ in self.rows):
            parts = [f"### {place}", "", "| case | what happens | bought twice | lost |", "|---|---|---:|---:|"]
            cases = [(case, told, seen) for (where, case, told), seen in self.rows.items() if where == place]
            parts += [f"| {case} | {told} | {seen.twice} | {seen.lost} |" for case, told, seen in cases]
            found[place] = "\n".join([*parts, ""])
        return found

    def write(self) -> None:
        """Write the tables into the file that the environment names, if it does; leave other places' as they are."""
        if not (name := os.environ.get(TABLE)) or not self.rows:
            return
        file = Path(name)
        before, _, rest = file.read_text().partition(BEGIN)
        inside, _, after = rest.partition(END)
        stand = {part.partition("\n")[0]: f"### {part.rstrip()}\n" for part in inside.split("### ")[1:]}
        tables = "\n".join((stand | self.sections()).values())
        file.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{after}")


CASES = Table()
"""The cases of this session, wherever they were seen."""
