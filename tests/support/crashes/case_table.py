"""The table of the cases that the tests have judged, which they write into a page where the environment asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.crashes.judge import Verdict, verdict
from tests.support.nights.flow import Flow

TABLE = "NIGHTBATCH_TABLE"
"""Names the file into which the table of cases is written, between the marks."""
BEGIN, END = "<!-- cases: begin -->", "<!-- cases: end -->"


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
        sections: dict[str, str] = {}
        for place in dict.fromkeys(where for where, _, _ in self.rows):
            parts = [
                f"### {place}",
                "",
                "| case | what happens | bought twice | lost |",
                "|---|---|---:|---:|",
            ]
            parts += [
                f"| {case} | {happens} | {seen.twice} | {seen.lost} |"
                for (where, case, happens), seen in self.rows.items()
                if where == place
            ]
            sections[place] = "\n".join([*parts, ""])
        return sections

    def write(self) -> None:
        """Write the tables into the file that the environment names, if it does; leave other places' as they are."""
        name = os.environ.get(TABLE)
        if not name or not self.rows:
            return
        file = Path(name)
        before, _, rest = file.read_text().partition(BEGIN)
        inside, _, after = rest.partition(END)
        sections = _sections_of(inside) | self.sections()
        tables = "\n".join(sections.values())
        file.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{after}")


def _sections_of(text: str) -> dict[str, str]:
    """Return the sections of a page's part by their titles."""
    sections = {}
    for part in text.split("### ")[1:]:
        title, _, _ = part.partition("\n")
        sections[title] = f"### {part.rstrip()}\n"
    return sections


CASES = Table()
"""The cases of this session, wherever they were seen."""


Judged = Callable[..., Verdict]


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
