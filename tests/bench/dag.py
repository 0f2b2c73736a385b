"""`make bench`: a whole run of our DAG and of the official operator's, on one Airflow, one S3 and one local API.

BENCH_DAG_ROWS (100000) and BENCH_DAG_REPEATS (5) size the comparison; BENCH_DAG_SCALE (1000000) names the sizes that
only ours is run at. Either of the sizes empty: what was measured of it before is kept. BENCH_PARTS without `dag`
leaves all of it out.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.on_airflow.dag_run import measure, put, stack, wait_idle
from tests.bench.run import numbers
from tests.bench.tables.dag_page import table, write_page
from tests.bench.tables.rows import ROOT, machine

from nightbatch.local.stack.stack import Stack

OUT = ROOT / ".local" / "bench" / "dag.json"
KINDS = ("ours", "official")
SIZES = {"compared": "BENCH_DAG_ROWS", "scale": "BENCH_DAG_SCALE"}
FEW = 10
"""Rows of a run of each kind that goes first and is not counted: long-lived processes import what they need once."""


def compare(running: Stack, folder: Path) -> dict[str, Any]:
    """Run ours, then the official one, after which the API server keeps the memory that it has taken."""
    (rows,), (repeats,) = (
        numbers("BENCH_DAG_ROWS", "100000"),
        numbers("BENCH_DAG_REPEATS", "5"),
    )
    put(running, folder, rows)
    measure(running, "official", FEW, 0)
    runs: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for kind in KINDS:
        for number in range(repeats):
            runs[kind].append(once(running, kind, rows, number))
    return {
        "rows": rows,
        "repeats": repeats,
        "medians": {k: medians(found) for k, found in runs.items()},
        "runs": runs,
    }


def scale(running: Stack, folder: Path) -> list[dict[str, Any]]:
    """Run ours at larger sizes, once each."""
    made = []
    for rows in numbers("BENCH_DAG_SCALE", "1000000"):
        put(running, folder, rows)
        made.append({"rows": rows, **medians([once(running, "ours", rows, 0)])})
    return made


def once(running: Stack, kind: str, rows: int, number: int) -> dict[str, Any]:
    """Measure one run, and say what it has taken, since the next takes a while."""
    wait_idle(running)
    found = measure(running, kind, rows, number) | {"load": os.getloadavg()[0]}
    print(
        f"{kind}, {rows:,} rows: {found['seconds']:.1f} s, {found['cpu']:.1f} CPU seconds",
        flush=True,
    )
    return found


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure, and of the seconds of each task."""
    names = [name for name, value in runs[0].items() if isinstance(value, (int, float))]
    tasks = {task["task"]: [] for task in runs[0]["tasks"] if task["seconds"]}
    for found in runs:
        for task in found["tasks"]:
            if task["task"] in tasks and task["seconds"]:
                tasks[task["task"]].append(task["seconds"])
    return {
        **{name: statistics.median(found[name] for found in runs) for name in names},
        "tasks": {name: statistics.median(taken) for name, taken in tasks.items()},
    }


def main() -> None:
    """Measure, print, keep as JSON, renew the page."""
    if "dag" not in os.environ.get("BENCH_PARTS", "dag").split(","):
        return
    measured: dict[str, Any] = json.loads(OUT.read_text()) if OUT.exists() else {}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="nightbatch-bench-") as name,
        stack(Path(name)) as running,
    ):
        put(running, Path(name), FEW)
        measure(running, "ours", FEW, 0)
        for part, take in (("scale", scale), ("compared", compare)):
            if os.environ.get(SIZES[part]) != "":
                measured |= {"machine": machine(), part: take(running, Path(name))}
                OUT.write_text(json.dumps(measured, indent=1))
    print(table(measured))
    write_page(measured, ROOT / "docs" / "throughput.md")


if __name__ == "__main__":
    main()
