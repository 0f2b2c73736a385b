"""Rows of a measurement: printed as a table, kept as JSON, and written into a page of docs/ between two marks."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[3]
OUT = ROOT / ".local" / "bench"
PAGE = ROOT / "docs" / "waiting.md"


def machine() -> str:
    """Name the machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (
            line.partition(":")[2].strip()
            for line in lines
            if line.startswith("model name")
        ),
        "unknown",
    )
    system = f"{platform.system()} {platform.machine()}"
    return (
        f"{model}, {os.cpu_count()} CPUs, {system}, Python {platform.python_version()}"
    )


def busy(load: float) -> str:
    """Say how busy the machine was before the measurement, by its load average then."""
    told = f"load average before {load:.1f}"
    return (
        f"{told}: other work went on beside it, and times are longer for it"
        if load > 1
        else told
    )


def show(name: str, title: str, rows: list[dict[str, Any]]) -> None:
    """Print the rows, and write them beside the other measurements."""
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(
        json.dumps({"title": title, "rows": rows}, indent=1)
    )
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(told(value) for value in row.values()))
    Console(width=140).print(table)


def renew(name: str, above: str, rows: list[dict[str, Any]], page: Path = PAGE) -> None:
    """Put the rows between the marks of their name on a page."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    lines = [above, "", "| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    lines += [
        "| " + " | ".join(told(value) for value in row.values()) + " |" for row in rows
    ]
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    page.write_text(
        f"{before}{begin}\n" + "\n".join(lines) + f"\n{end}{after}", encoding="utf-8"
    )


def told(value: Any) -> str:
    """Write one value."""
    return (
        "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    )
