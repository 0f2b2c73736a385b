"""`make soak`: an hour of small nights with faults on a cluster, and what grows meanwhile.

MINUTES (60). Nights follow each other, some at the same time, each with faults of its own: creates that are lost or
refused, answers that are cut or errored, slow batches. Each minute: memory, open files and connections of every part,
rows of the metadata database, objects of the lake. The last third of the hour is compared with the first.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import psutil
import pyarrow as pa
from tests.support.airflow.cluster import cluster_settings

from nightbatch.emulator.embedded import Emulator
from nightbatch.local.cluster.cluster import Cluster
from nightbatch.local.stack.processes import marked
from nightbatch.local.stack.rest import FINISHED

MINUTES = float(os.environ.get("MINUTES", "60"))
OUT = Path(__file__).parents[2] / ".local" / "soak.json"
ROWS = 40
NIGHT_SECONDS = 30.0
"""A night begins so often."""
TABLES = (
    "dag_run",
    "task_instance",
    "xcom",
    "rendered_task_instance_fields",
    "trigger",
    "job",
    "log",
    "asset_event",
)
FAULTS: tuple[dict[str, Any], ...] = (
    {"where": "create", "what": "drop_after", "probability": 0.3},
    {"where": "create", "what": "overloaded", "probability": 0.3},
    {"where": "row", "what": "errored", "probability": 0.1},
    {"where": "results", "what": "cut_clean", "probability": 0.3},
    {"where": "batch", "what": "slow", "seconds": 40, "probability": 0.3},
)


def main() -> int:
    """Soak, print what was seen, keep it as JSON; return 1 if a night failed or a request was bought twice."""
    samples: list[dict[str, float]] = []
    states: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="nightbatch-soak-") as name:
        dags = Path(__file__).parents[2] / "dags"
        settings = cluster_settings(Path(name) / "home", dags, batch_seconds=3)
        with Cluster(settings) as cluster:
            soak(cluster, samples, states)
            bought = Emulator(cluster.emulator_url).books()["bought"]
    result = {
        "nights": len(states),
        "failed": [run for run, state in states.items() if state != "success"],
        "bought": bought,
        "growth": growth(samples),
        "samples": samples,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=1))
    print(json.dumps({**result, "samples": len(samples)}, indent=1))
    return int(bool(result["failed"]) or bool(bought["twice"]))


def soak(
    cluster: Cluster, samples: list[dict[str, float]], states: dict[str, str]
) -> None:
    """Start nights until the time is over, and look each minute; then let the last ones end."""
    random.seed(1)
    emulator = Emulator(cluster.emulator_url)
    cluster.airflow.wait_parsed("enrich_parquet")
    began = time.monotonic()
    next_sample = began
    number = 0
    while time.monotonic() - began < 60 * MINUTES:
        emulator.faults(random.choice(FAULTS), replace=True)
        states[start_night(cluster, number)] = "running"
        number += 1
        renew_states(cluster, states)
        if time.monotonic() >= next_sample:
            samples.append({"minute": (time.monotonic() - began) / 60, **look(cluster)})
            next_sample += 60
        time.sleep(NIGHT_SECONDS)
    emulator.clear_faults()
    deadline = time.monotonic() + 600
    while "running" in states.values() and time.monotonic() < deadline:
        time.sleep(2)
        renew_states(cluster, states)
    samples.append({"minute": (time.monotonic() - began) / 60, **look(cluster)})


def start_night(cluster: Cluster, number: int) -> str:
    """Put a partition, of which half the rows are those of the night before, and start its run."""
    texts = [f"row {number // 2 * ROWS + row}" for row in range(ROWS)]
    table = pa.table({"id": list(range(ROWS)), "text": texts})
    cluster.lake.put_table(f"soak/in/dt={number:06d}/part-0.parquet", table)
    conf = {
        "source": "s3://lake/soak/in/", "target": "s3://lake/soak/out/", "partition": f"dt={number:06d}",
        "key": ["id"], "prompt": "Say: {{ text }}", "max_tokens": 20, "canary": "never", "max_batch_requests": 15,
        "poll_seconds": 2, "min_answered": 0.5, "model": "claude-haiku-4-5",
    }  # fmt: skip
    return cluster.airflow.trigger("enrich_parquet", conf=conf)


def renew_states(cluster: Cluster, states: dict[str, str]) -> None:
    """Ask for the state of each run that has not ended."""
    for run_id in [run_id for run_id, state in states.items() if state == "running"]:
        state = cluster.airflow.run("enrich_parquet", run_id)["state"]
        if state in FINISHED:
            states[run_id] = state


def look(cluster: Cluster) -> dict[str, float]:
    """Return what every part uses now."""
    sample: dict[str, float] = {}
    for part in cluster.parts:
        processes = marked(cluster.home, part.name)
        sample[f"{part.name} MB"] = total(processes, _megabytes)
        sample[f"{part.name} processes"] = len(processes)
        sample[f"{part.name} files"] = total(processes, _files)
    for table in TABLES:
        ((count,),) = cluster.rows(f"select count(*) from {table}")
        sample[f"rows of {table}"] = count
    ((connections,),) = cluster.rows("select count(*) from pg_stat_activity where datname = 'airflow'")  # fmt: skip
    sample["database connections"] = connections
    ((size,),) = cluster.rows("select pg_database_size(current_database())")
    sample["database MB"] = size / 1e6
    sample["files of the home"] = sum(1 for _ in cluster.home.rglob("*"))
    return sample


def total(
    processes: list[psutil.Process], read: Callable[[psutil.Process], float]
) -> float:
    """Add up one figure over processes; those that have ended meanwhile count nothing."""
    figures = []
    for process in processes:
        with suppress(psutil.Error):
            figures.append(read(process))
    return sum(figures)


def _megabytes(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 1e6


def _files(process: psutil.Process) -> float:
    return float(process.num_fds())


def growth(samples: list[dict[str, float]]) -> dict[str, list[float]]:
    """Return the median of the first third, that of the last, for each figure."""
    third = max(1, len(samples) // 3)
    return {
        name: [
            round(statistics.median(sample[name] for sample in part), 1)
            for part in (samples[:third], samples[-third:])
        ]
        for name in samples[0]
    }


if __name__ == "__main__":
    sys.exit(main())
