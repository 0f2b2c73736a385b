"""`make bench`: a whole run of our DAG and of the official operator's, on one Airflow, one S3 and one local API.

BENCH_DAG_ROWS (100000) and BENCH_DAG_REPEATS (3) size the comparison; BENCH_DAG_SCALE (1000000) names the sizes that
only ours is run at. BENCH_PARTS without `dag` leaves all of it out.
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
sys.path.insert(0, str(Path(__file__).parent))

from dagpage import table, write_page
from dagrun import measure, put, stack, wait_idle
from run import machine, numbers

ROOT = Path(__file__).parents[2]
OUT = ROOT / ".local" / "bench" / "dag.json"
KINDS = ("ours", "official")
FEW = 10
"""Rows of a run of each kind that goes first and is not counted: long-lived processes import what they need once."""


def run(folder: Path) -> dict[str, Any]:
    """Measure all that is asked for on one stack."""
    (rows,), (repeats,) = numbers("BENCH_DAG_ROWS", "100000"), numbers("BENCH_DAG_REPEATS", "3")
    scale = numbers("BENCH_DAG_SCALE", "1000000")
    runs: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    with stack(folder) as running:
        for size in (FEW, rows, *scale):
            put(running, folder, size)
        for kind in KINDS:
            measure(running, kind, FEW, 0)
        for number in range(repeats):
            for kind in KINDS:
                wait_idle(running)
                runs[kind].append(measure(running, kind, rows, number))
                tell(kind, rows, runs[kind][-1])
        larger = {}
        for size in scale:
            wait_idle(running)
            larger[size] = measure(running, "ours", size, 0)
            tell("ours", size, larger[size])
    return {
        "rows": rows,
        "repeats": repeats,
        "medians": {kind: medians(found) for kind, found in runs.items()},
        "scale": [{"rows": size, **medians([found])} for size, found in larger.items()],
        "runs": runs | {f"ours at {size}": [found] for size, found in larger.items()},
    }


def tell(kind: str, rows: int, found: dict[str, Any]) -> None:
    """Say what a run has taken, since the next takes a while."""
    print(f"{kind}, {rows:,} rows: {found['seconds']:.1f} s, {found['cpu']:.1f} CPU seconds", flush=True)


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
    with tempfile.TemporaryDirectory(prefix="nightbatch-bench-") as folder:
        measured = {"machine": machine(), **run(Path(folder)), "load": os.getloadavg()[2]}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(measured, indent=1))
    print(table(measured))
    write_page(measured, ROOT / "docs" / "throughput.md")


if __name__ == "__main__":
    main()
