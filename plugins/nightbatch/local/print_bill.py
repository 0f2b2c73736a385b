"""What is printed at the end of the demo: the first rows, the counts by status and the bill."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nightbatch.amounts import usd
from nightbatch.local.stack.rest import Json

Reports = Mapping[str, Json]
"""What `publish` reported of each night, by partition."""
BillLines = dict[str, str]
"""The amounts of one night's bill, by title."""

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
    shown_columns = _shown_columns(published)
    first_rows = published.slice(0, SHOWN_ROWS)
    shown_rows = first_rows.select(shown_columns)
    row_table = _table(title, *shown_columns)
    for row in shown_rows.to_pylist():
        cells = map(_cell, row.values())
        row_table.add_row(*cells)
    console.print(row_table)


def _table(title: str, *columns: str) -> Table:
    """Return an empty table with its title at the left."""
    return Table(*columns, title=title, title_justify="left")


def _shown_columns(published: pa.Table) -> list[str]:
    """Return the columns of data, and those of SHOWN_META that there are."""
    column_names = published.column_names
    data_columns = [name for name in column_names if not name.startswith("_")]
    meta_columns = [name for name in SHOWN_META if name in column_names]
    return data_columns + meta_columns


def _cell(value: object) -> Text:
    return Text(str(value), overflow="ellipsis")


def print_statuses(console: Console, reports: Reports) -> None:
    """Print how many rows have which status, night by night."""
    counts_by_night = [report["by_status"] for report in reports.values()]
    all_statuses = set().union(*counts_by_night)
    status_table = _table("What came back", "rows by status", *reports)
    for status in sorted(all_statuses):
        row_counts = [counts.get(status, 0) for counts in counts_by_night]
        cells = map(_count_text, row_counts)
        status_table.add_row(status, *cells)
    console.print(status_table)


def print_bill(console: Console, reports: Reports) -> None:
    """Print the requests, the purchases and the savings, night by night."""
    bill_table = _table("What it cost", "the bill")
    for partition in reports:
        bill_table.add_column(partition, justify="right")
    bills = [_bill_lines(report) for report in reports.values()]
    for line_title in _line_titles(bills):
        amounts = [bill.get(line_title, "0") for bill in bills]
        bill_table.add_row(line_title, *amounts)
    console.print(bill_table)


def _line_titles(bills: list[BillLines]) -> list[str]:
    """Return the titles of all bills' lines, each once, in their order."""
    line_titles: dict[str, None] = {}
    for bill in bills:
        line_titles.update(dict.fromkeys(bill))
    return list(line_titles)


def _bill_lines(report: Json) -> BillLines:
    """Return the amounts of one night's bill by title."""
    bill_lines = {
        "rows": _count_text(report["rows"]),
        "different requests": _count_text(report["requests"]),
        "reused from earlier nights": _count_text(report["reused"]),
        "bought": _count_text(report["bought"]),
        "batches": _count_text(report["batches"]),
    }
    bill_lines |= _token_lines(report["tokens"])
    bill_lines["estimated"] = usd(report["estimated_usd"])
    bill_lines["actual"] = usd(report["cost_usd"])
    bill_lines |= _saving_lines(report["saved_usd"])
    bill_lines["seconds"] = f"{report['seconds']:.0f}"
    return bill_lines


def _token_lines(token_counts: Mapping[str, int]) -> BillLines:
    """Return the tokens of the kinds that there were."""
    token_lines = {}
    for token_kind, token_count in token_counts.items():
        if token_count:
            kind_words = token_kind.replace("_", " ")
            line_title = f"{kind_words} tokens"
            token_lines[line_title] = _count_text(token_count)
    return token_lines


def _saving_lines(saved_usd: Json) -> BillLines:
    saving_lines = {}
    for saving_kind, line_title in SAVED.items():
        kind_usd = saved_usd.get(saving_kind)
        saving_lines[line_title] = usd(kind_usd)
    return saving_lines


def _count_text(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"
