"""`make bench`: measure, print the ratios, write them as JSON, and renew the table and the figure in docs/.

BENCH_ROWS (100,000) and BENCH_REPEATS (5) size the comparison with the SDK; BENCH_SCALE (100000,1000000) names the
sizes of the scale law; BENCH_SETTLED (10000000) the settled ids of the history. Larger ones take minutes each.
BENCH_PARTS (compared,scale,history) measures only these, and keeps what was measured of the others.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from cases import path_of_rows, run
from pages import figure, table, write_page

ROOT = Path(__file__).parents[2]
OUT = ROOT / ".local" / "bench" / "throughput.json"
SDK_ROWS = 100_000
"""Rows beyond which the SDK's path is not measured: it takes over a gigabyte for each batch."""
PAIRS = {"rows to staged requests to POST": ("ask", "sdk ask"), "results to landed Parquet": ("land", "sdk land")}


def numbers(name: str, default: str) -> list[int]:
    """Read a list of whole numbers from the environment."""
    return [int(one) for one in os.environ.get(name, default).split(",") if one]


def machine() -> str:
    """Name the machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return (
        f"{model}, {os.cpu_count()} CPUs, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def compare(work: Path) -> dict[str, Any]:
    """Compare with the SDK's path at one size."""
    (rows,), (repeats,) = numbers("BENCH_ROWS", "100000"), numbers("BENCH_REPEATS", "5")
    found = path_of_rows(work, rows, repeats, sdk=True)
    ratios = {
        title: {kind: round(found[sdk][kind] / found[ours][kind], 2) for kind in ("seconds", "cpu", "peak_mb")}
        for title, (ours, sdk) in PAIRS.items()
    }
    return {"rows": rows, "repeats": repeats, "cases": found, "ratios": ratios}


def scale(work: Path) -> list[dict[str, Any]]:
    """Measure seconds and memory against rows."""
    made = []
    for rows in numbers("BENCH_SCALE", "100000,1000000"):
        made.append({"rows": rows, "cases": path_of_rows(work, rows, 1, sdk=rows <= SDK_ROWS)})
        shutil.rmtree(work / f"tickets-{rows}")
    return made


def past(work: Path) -> list[dict[str, Any]]:
    """Measure the plan's difference against settled ids."""
    made = []
    for settled in numbers("BENCH_SETTLED", "10000000"):
        root = str(work / f"settled-{settled}")
        run("past", "write", root=root, settled=settled)
        made.append({"settled": settled, **run("past", "difference", root=root, settled=settled, asked=1_000_000)})
        shutil.rmtree(root)
    return made


def main() -> None:
    """Measure everything that is asked for."""
    wanted = os.environ.get("BENCH_PARTS", "compared,scale,history").split(",")
    measured: dict[str, Any] = json.loads(OUT.read_text()) if OUT.exists() else {}
    with tempfile.TemporaryDirectory(prefix="nightbatch-bench-") as folder:
        for name, measure in (("compared", compare), ("scale", scale), ("history", past)):
            if name in wanted:
                measured |= {"machine": machine(), name: measure(Path(folder)), f"{name}_load": os.getloadavg()[1]}
                OUT.parent.mkdir(parents=True, exist_ok=True)
                OUT.write_text(json.dumps(measured, indent=1))
    print(table(measured))
    figure(measured, ROOT / "docs" / "throughput.png")
    write_page(measured, ROOT / "docs" / "throughput.md")


if __name__ == "__main__":
    main()
