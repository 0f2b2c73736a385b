"""What is printed at the end of the demo: the first rows, the counts by status and the bill."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nightbatch.local.stack.rest import Json

SHOWN_ROWS = 8
SHOWN_META = ("_status", "_cost_usd")
SAVED = {
    "batch": "saved by batch price",
    "cache": "saved by prompt cache",
    "reuse": "saved by reuse of earlier nights",
    "duplicates": "saved by duplicates bought once",
}


def print_rows(console: Console, published: pa.Table, *, title: str) -> None:
    """Print the first published rows: key, answer, status and cost."""
    names = [name for name in published.column_names if not name.startswith("_")]
    names += [name for name in SHOWN_META if name in published.column_names]
    table = Table(*names, title=title, title_justify="left")
    for row in published.slice(0, SHOWN_ROWS).select(names).to_pylist():
        table.add_row(
            *(Text(str(value), overflow="ellipsis") for value in row.values())
        )
    console.print(table)


def print_statuses(console: Console, reports: Mapping[str, Json]) -> None:
    """Print how many rows have which status, night by night."""
    statuses = sorted(
        {status for report in reports.values() for status in report["by_status"]}
    )
    table = Table(
        "rows by status", *reports, title="What came back", title_justify="left"
    )
    for status in statuses:
        table.add_row(
            status,
            *(f"{report['by_status'].get(status, 0):,}" for report in reports.values()),
        )
    console.print(table)


def print_bill(console: Console, reports: Mapping[str, Json]) -> None:
    """Print what was asked, what was bought and what was saved, night by night."""
    table = Table("the bill", title="What it cost", title_justify="left")
    for partition in reports:
        table.add_column(partition, justify="right")
    lines = [_lines(report) for report in reports.values()]
    for name in dict.fromkeys(name for line in lines for name in line):
        table.add_row(name, *(line.get(name, "0") for line in lines))
    console.print(table)


def _lines(report: Json) -> dict[str, str]:
    saved = report["saved_usd"]
    return {
        "rows": _count(report["rows"]),
        "different requests": _count(report["requests"]),
        "reused from earlier nights": _count(report["reused"]),
        "bought": _count(report["bought"]),
        "batches": _count(report["batches"]),
        **{
            f"{name} tokens".replace("_", " "): _count(count)
            for name, count in report["tokens"].items()
            if count
        },
        "estimated": _dollars(report["estimated_usd"]),
        "actual": _dollars(report["cost_usd"]),
        **{title: _dollars(saved.get(name)) for name, title in SAVED.items()},
        "seconds": f"{report['seconds']:.0f}",
    }


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _dollars(value: float | str | None) -> str:
    return "unknown" if value is None else f"${float(value):,.4f}"
