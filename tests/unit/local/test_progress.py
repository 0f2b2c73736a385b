"""A person who waits sees what a run is doing, and no more than that."""

from __future__ import annotations

import io

import pyarrow as pa
from rich.console import Console

from nightbatch.local.print_bill import print_bill, print_rows, print_statuses
from nightbatch.local.progress import TaskProgress, summarize
from nightbatch.local.stack.rest import Json

REPORT: Json = {
    "rows": 3000,
    "requests": 2756,
    "reused": 0,
    "bought": 2756,
    "answered": 2990,
    "batches": 2,
    "tokens": {"input": 12, "output": 3},
    "by_status": {"answered": 2990, "refused": 10},
    "cost_usd": 1.25,
    "estimated_usd": None,
    "seconds": 12.4,
    "saved_usd": {"batch": 1.25, "cache": 0.5, "reuse": 0.0, "duplicates": 0.1},
}


def task(task_id: str, state: str | None, start: str | None = None) -> Json:
    return {"task_id": task_id, "state": state, "start_date": start}


def printed() -> Console:
    return Console(file=io.StringIO(), width=140)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_mapped_tasks_are_told_together_in_the_order_in_which_they_began() -> None:
    tasks = [
        task("b", "running", "2"),
        task("b", "success", "3"),
        task("b", "success", "3"),
        task("a", "success", "1"),
    ]
    assert summarize(tasks) == {"a": "success", "b": "2 success, 1 running"}


def test_tasks_that_wait_for_their_turn_or_have_nothing_to_do_are_not_told() -> None:
    assert summarize([task("a", None), task("b", "queued"), task("c", "skipped")]) == {}


def test_without_a_terminal_each_change_is_one_line() -> None:
    console = printed()
    progress = TaskProgress(console, "run")
    with progress.showing():
        for state in ("running", "running", "success"):
            progress([task("prepare", state, "1")])
    assert [line.split()[-1] for line in text(console).splitlines()] == [
        "running",
        "success",
    ]


def test_published_rows_are_printed_as_they_are() -> None:
    console = printed()
    rows = pa.table(
        {
            "ticket_id": ["T-1"],
            "summary": ["[red]not markup[/red]"],
            "_status": ["answered"],
            "_model": ["m"],
        }
    )
    print_rows(console, rows, title="rows")
    assert "[red]not markup[/red]" in text(console)
    assert "_model" not in text(console)


def test_the_bill_tells_an_unknown_price_from_none() -> None:
    console = printed()
    print_bill(console, {"night": REPORT})
    print_statuses(console, {"night": REPORT})
    assert "$1.2500" in text(console)
    assert "unknown" in text(console)
    assert "2,990" in text(console)
