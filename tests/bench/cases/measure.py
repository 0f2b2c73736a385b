"""Run cases in processes of their own, in turn: ours and the SDK's see the same machine in the same minutes."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq
from tests.bench.data import result_lines, write_narrow, write_tickets

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".local" / "bench" / "pycache"
ENVIRONMENT = {
    **os.environ,
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(CACHE),
}
"""Modules are compiled once, not once a run."""


@dataclass
class Measured:
    """The runs of one case."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)

    def add(self, found: dict[str, Any]) -> Any:
        """Take in a run; return its value."""
        for name in ("seconds", "cpu", "peak_mb"):
            getattr(self, name).append(found[name])
        return found["value"]

    def medians(self) -> dict[str, float]:
        """Return the medians."""
        return {
            name: round(median(getattr(self, name)), 3)
            for name in ("seconds", "cpu", "peak_mb")
        }


def run(module: str, function: str, **arguments: Any) -> dict[str, Any]:
    """Run one case."""
    command = [
        sys.executable,
        str(HERE / "case.py"),
        module,
        function,
        json.dumps(arguments),
    ]
    told = subprocess.run(
        command, capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    if told.returncode:
        raise RuntimeError(f"{module}.{function} failed:\n{told.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found


@contextmanager
def wire(folder: Path) -> Iterator[str]:
    """Serve the wire from a folder of results."""
    folder.mkdir(parents=True, exist_ok=True)
    server = subprocess.Popen(
        [sys.executable, str(HERE / "wire.py"), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


def path_of_rows(
    work: Path, rows: int, repeats: int, *, sdk: bool = False, narrow: bool = False
) -> dict[str, dict[str, float]]:
    """Measure a dataset's way to the wire and back, as medians of so many runs of each case."""
    source, results, root = (
        work / f"source-{rows}-{narrow}",
        work / "results",
        work / "root",
    )
    if not source.exists():
        (write_narrow if narrow else write_tickets)(source, rows)
    found = {
        name: Measured() for name in ("ask", "sdk ask", "land", "sdk land", "publish")
    }
    with wire(results) as url:
        for _ in range(repeats):
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            asked = found["ask"].add(
                run(
                    "ours",
                    "ask",
                    source=str(source),
                    root=str(root),
                    url=url,
                    narrow=narrow,
                )
            )
            if sdk:
                found["sdk ask"].add(run("sdk", "ask", source=str(source), url=url))
            answer(root, results, asked["batches"], narrow=narrow)
            found["land"].add(
                run(
                    "ours",
                    "land_all",
                    root=str(root),
                    url=url,
                    shards=list(asked["batches"]),
                )
            )
            if sdk:
                batches = list(asked["batches"].values())
                found["sdk land"].add(
                    run("sdk", "land", batches=batches, url=url, folder=str(root))
                )
            found["publish"].add(
                run("ours", "publish_rows", root=str(root), reference=asked["ref"])
            )
    for folder in (source, results, root):
        shutil.rmtree(folder)
    return {name: one.medians() for name, one in found.items() if one.seconds}


def answer(root: Path, results: Path, batches: dict[str, str], *, narrow: bool) -> None:
    """Write the results of claimed batches, in no order."""
    for shard, batch in batches.items():
        ids = [
            one.hex()
            for one in pq.read_table(root / f"state/claims/{shard}.parquet")[
                "id"
            ].to_pylist()
        ]
        random.Random(5).shuffle(ids)
        with (results / f"{batch}.jsonl").open("wb") as file:
            file.writelines(result_lines(ids, narrow=narrow))
        (results / f"{batch}.count").write_text(str(len(ids)))
