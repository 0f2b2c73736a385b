"""The table of cases in the docs is written anew by each session, place by place."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.crashes.case_table import BEGIN, END, TABLE, Table
from tests.support.crashes.judge import Verdict


def written(file: Path, *places: str) -> str:
    """Write a session's cases into the file, one for each place."""
    table = Table()
    for place in places:
        table.add(place, "a case", "nothing", Verdict(0, 0))
    table.write()
    return file.read_text()


def test_a_session_writes_its_own_tables_and_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cases.md"
    file.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    monkeypatch.setenv(TABLE, str(file))
    both = written(file, "Here", "There")
    assert both.startswith("before\n")
    assert both.endswith(f"{END}\nafter\n")
    assert [line for line in both.splitlines() if line.startswith("###")] == [
        "### Here",
        "### There",
    ]
    assert written(file, "There") == both == written(file, "Here")
