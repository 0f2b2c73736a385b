"""`make bench`: measure, print the ratios, write them as JSON, and renew the table and the figure in docs/.

BENCH_ROWS (100,000) and BENCH_REPEATS (5) size the comparison with the SDK; BENCH_SCALE (100000,1000000) and
BENCH_NARROW (1000000) name the sizes of the scale law; BENCH_ASKED (1000000) and BENCH_SETTLED (10000000) those of the
plan's difference, BENCH_NIGHTS (365000) the rows that 365 nights have answered. Larger ones take minutes each.
BENCH_PARTS (compared,scale,history,nights) measures only these, and keeps what was measured of the others.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.cases.measure import path_of_rows, run
from tests.bench.tables.pages import figure, table, write_page
from tests.bench.tables.rows import ROOT, machine

OUT = ROOT / ".local" / "bench" / "throughput.json"
NIGHTS = 365
SDK_ROWS = 100_000
"""Rows beyond which the SDK's path is not measured: it takes over a gigabyte for each batch."""
PAIRS = {
    "rows to staged requests to POST": ("ask", "sdk ask"),
    "results to landed Parquet": ("land", "sdk land"),
}


def numbers(name: str, default: str) -> list[int]:
    """Read a list of whole numbers from the environment."""
    return [int(one) for one in os.environ.get(name, default).split(",") if one]


def compare(work: Path) -> dict[str, Any]:
    """Compare with the SDK's path at one size."""
    (rows,), (repeats,) = numbers("BENCH_ROWS", "100000"), numbers("BENCH_REPEATS", "5")
    found = path_of_rows(work, rows, repeats, sdk=True)
    ratios = {
        title: {
            kind: round(found[sdk][kind] / found[ours][kind], 2)
            for kind in ("seconds", "cpu", "peak_mb")
        }
        for title, (ours, sdk) in PAIRS.items()
    }
    return {"rows": rows, "repeats": repeats, "cases": found, "ratios": ratios}


def scale(work: Path) -> list[dict[str, Any]]:
    """Measure seconds and memory against rows: the rows of the comparison, and narrow ones."""
    made = []
    for name, default in (
        ("BENCH_SCALE", "100000,1000000"),
        ("BENCH_NARROW", "1000000"),
    ):
        narrow = name == "BENCH_NARROW"
        for rows in numbers(name, default):
            sdk = rows <= SDK_ROWS and not narrow
            made.append(
                {
                    "rows": rows,
                    "narrow": narrow,
                    "cases": path_of_rows(work, rows, 1, sdk=sdk, narrow=narrow),
                }
            )
            print(json.dumps(made[-1]), flush=True)
    return made


def past(work: Path) -> list[dict[str, Any]]:
    """Measure the plan's difference against settled ids."""
    made = []
    for asked in numbers("BENCH_ASKED", "1000000"):
        for settled in numbers("BENCH_SETTLED", "10000000"):
            root = work / f"settled-{settled}"
            root.mkdir()
            run("past", "settle", root=str(root), settled=settled)
            reference = run(
                "past", "ask", root=str(root), settled=settled, asked=asked
            )["value"]
            made.append(
                {
                    "settled": settled,
                    **run("past", "difference", root=str(root), reference=reference),
                }
            )
            print(json.dumps(made[-1]), flush=True)
            shutil.rmtree(root)
    return made


def nights(work: Path) -> dict[str, Any]:
    """Measure the publication of a partition whose answers came in 365 nights: from their files, and compacted."""
    root, (rows,) = work / "nights", numbers("BENCH_NIGHTS", "365000")
    root.mkdir()
    reference = run("past", "spread_nights", root=str(root), nights=NIGHTS, rows=rows)[
        "value"
    ]
    cases = {
        "publish": run("ours", "publish_rows", root=str(root), reference=reference)
    }
    shutil.rmtree(root / "target")
    cases["compact"] = run("past", "compact_nights", root=str(root))
    cases["publish, compacted"] = run(
        "ours", "publish_rows", root=str(root), reference=reference
    )
    shutil.rmtree(root)
    return {"rows": rows, "nights": NIGHTS, "cases": cases}


def main() -> None:
    """Measure everything that is asked for."""
    wanted = os.environ.get("BENCH_PARTS", "compared,scale,history,nights").split(",")
    measured: dict[str, Any] = json.loads(OUT.read_text()) if OUT.exists() else {}
    with tempfile.TemporaryDirectory(prefix="nightbatch-bench-") as folder:
        for name, measure in (
            ("compared", compare),
            ("scale", scale),
            ("history", past),
            ("nights", nights),
        ):
            if name in wanted:
                measured |= {
                    "machine": machine(),
                    name: measure(Path(folder)),
                    f"{name}_load": os.getloadavg()[1],
                }
                OUT.parent.mkdir(parents=True, exist_ok=True)
                OUT.write_text(json.dumps(measured, indent=1))
    if not measured:
        return
    print(table(measured))
    figure(measured, ROOT / "docs" / "throughput.png")
    write_page(measured, ROOT / "docs" / "throughput.md")


if __name__ == "__main__":
    main()
