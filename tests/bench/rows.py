"""Rows of a measurement: printed as a table, and kept as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

OUT = Path(__file__).parents[2] / ".local" / "bench"


def show(name: str, title: str, rows: list[dict[str, Any]]) -> None:
    """Print the rows, and write them beside the other measurements."""
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps({"title": title, "rows": rows}, indent=1))
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*("–" if value is None else str(value) for value in row.values()))
    Console(width=140).print(table)
