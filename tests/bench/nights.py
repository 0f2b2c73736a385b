"""`make bench`: whole nights on real Airflow, told in the time that Airflow takes for a chain of five empty tasks.

Three Airflows, one after the other: with the stock settings of LocalExecutor, as `make demo` sets it (tasks forked from
a process that has preloaded, a heartbeat of one second), and a cluster (PostgreSQL, Valkey, two Celery workers, two
triggerers). BENCH_NIGHTS_REPEATS (3) runs of each kind, medians; BENCH_NIGHTS_AIRFLOWS names those to measure.
BENCH_PARTS without `nights` leaves it out.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.airflow import runs
from tests.bench.on_airflow.dag_run import cpu, database_bytes, rendered, seconds
from tests.bench.tables.rows import ROOT, busy, machine, renew, show

from nightbatch.emulator.embedded import Emulator
from nightbatch.local.cluster.cluster import Cluster
from nightbatch.local.stack.settings import Settings
from nightbatch.local.stack.stack import Stack

DAGS = Path(__file__).parent / "on_airflow" / "dags"
REPEATS = int(os.environ.get("BENCH_NIGHTS_REPEATS", "3"))
STOCK = {
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__MP_START_METHOD": "fork",
    "AIRFLOW__CORE__MP_FORKSERVER_PRELOAD": "",
    "AIRFLOW__CORE__PARALLELISM": "32",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
}
AIRFLOWS = {"stock": STOCK, "preloaded": dict[str, str](), "celery": dict[str, str]()}
CHOSEN = os.environ.get("BENCH_NIGHTS_AIRFLOWS", ",".join(AIRFLOWS)).split(",")
BATCHES, LASTS = 120, 25.0
"""Small batches of one run, and the seconds that each of them takes."""
ROWS, CHANGED = 3_000, 600
TITLE = (
    "Whole nights on Airflow, in chains: one is what Airflow takes for five empty tasks"
)
PATIENCE = 1_200.0


@contextmanager
def stack(folder: Path, kind: str) -> Iterator[Stack]:
    """Run one kind of Airflow with the DAGs of the project and the chain, the embedded S3 and the local API."""
    dags = folder / "dags"
    dags.mkdir(parents=True)
    for file in (DAGS / "night.py", DAGS / "chain.py"):
        (dags / file.name).symlink_to(file)
    batches = ("--seconds", "0.5", "--retry-after", "1")
    settings = Settings(
        home=folder / "home", dags=dags, emulator_args=batches, env=AIRFLOWS[kind]
    )
    made = Cluster(settings) if kind == "celery" else Stack(settings)
    with made as running:
        running.airflow.wait_parsed("chain")
        yield running


def chain(running: Stack, _: int) -> dict[str, Any]:
    """Run the chain."""
    return figures(running, "chain", running.airflow.trigger("chain"))


def many(running: Stack, number: int, batches: int = BATCHES) -> dict[str, Any]:
    """Run a night of many small batches, each of which takes a while."""
    emulator = Emulator(running.emulator_url)
    emulator.faults({"where": "batch", "what": "slow", "seconds": LASTS})
    run = night(
        running,
        f"many-{batches}-{number}",
        batches,
        max_batch_requests=1,
        poll_seconds=1,
    )
    result = figures(running, run.dag_id, run.run_id)
    emulator.clear_faults()
    return result


def night(running: Stack, name: str, rows: int, **params: Any) -> runs.Run:
    """Start a night of so many different requests."""
    return runs.enrich(running, name, rows, dag_id="night", **params)


def few(running: Stack, number: int) -> dict[str, Any]:
    """Run a night of a tenth as many batches: what it leaves in Airflow must be the same."""
    return many(running, number, BATCHES // 10)


def pair(running: Stack, number: int) -> dict[str, Any]:
    """Run two such nights at the same time, of two targets: with two workers they should take the time of one."""
    emulator = Emulator(running.emulator_url)
    emulator.faults({"where": "batch", "what": "slow", "seconds": LASTS})
    both = [
        night(running, f"pair-{number}-{name}", BATCHES // 10, max_batch_requests=1, poll_seconds=1)
        for name in ("a", "b")
    ]  # fmt: skip
    results = [figures(running, run.dag_id, run.run_id) for run in both]
    emulator.clear_faults()
    ends = [running.airflow.run(run.dag_id, run.run_id) for run in both]
    began = min(end["start_date"] for end in ends)
    ended = max(end["end_date"] for end in ends)
    cpu_seconds = sum(result["cpu"] for result in results)
    return {**results[0], "seconds": seconds(began, ended), "cpu": cpu_seconds}


def changed(running: Stack, number: int) -> dict[str, Any]:
    """Run the second night of a dataset of which a part has changed; its batch takes a second."""
    name = f"changed-{number}"
    first = night(running, name, ROWS, poll_seconds=1, limit=ROWS - CHANGED)
    assert first.end(PATIENCE) == "success"
    emulator = Emulator(running.emulator_url)
    emulator.faults({"where": "batch", "what": "slow", "seconds": 1})
    second = night(running, name, ROWS, poll_seconds=1)
    result = figures(running, second.dag_id, second.run_id)
    emulator.clear_faults()
    assert second.report()["bought"] == CHANGED, second.report()["bought"]
    return result


def reused(running: Stack, number: int) -> dict[str, Any]:
    """Run a night in which all was answered before."""
    run = night(running, f"changed-{number}", ROWS, poll_seconds=1)
    result = figures(running, run.dag_id, run.run_id)
    assert run.report()["bought"] == 0
    return result


def figures(running: Stack, dag_id: str, run_id: str) -> dict[str, Any]:
    """Wait for the end of a run that has just begun, and return what it took."""
    before = cpu(running)["airflow"]
    size = database_size(running)
    state = running.airflow.wait(dag_id, run_id, patience=PATIENCE, watch=running.check)
    assert state == "success", state
    run = running.airflow.run(dag_id, run_id)
    tasks = running.airflow.tasks(dag_id, run_id)
    return {
        "seconds": seconds(run["start_date"], run["end_date"]),
        "cpu": cpu(running)["airflow"] - before,
        "tasks": sum(task["state"] == "success" for task in tasks),
        "instances": len(tasks),
        "xcom_bytes": bytes_of(running, run_id, "xcom", "value"),
        "rendered_bytes": bytes_of(
            running, run_id, "rendered_task_instance_fields", "rendered_fields"
        ),
        "database_bytes": database_size(running) - size,
    }


def bytes_of(running: Stack, run_id: str, table: str, column: str) -> int:
    """Return the bytes that a run has left in a column of the metadata database."""
    if isinstance(running, Cluster):
        query = f"select sum(length({column}::text)) from {table} where run_id = %s"
        ((size,),) = running.rows(query, run_id)
        return int(size or 0)
    return rendered(running.home / "airflow" / "airflow.db", run_id, table, column)


def database_size(running: Stack) -> int:
    """Return the bytes that the metadata database uses."""
    if isinstance(running, Cluster):
        ((size,),) = running.rows("select pg_database_size(current_database())")
        return int(size)
    return database_bytes(running.home / "airflow" / "airflow.db")


CASES = {
    "chain": chain,
    "many": many,
    "few": few,
    "pair": pair,
    "changed": changed,
    "reused": reused,
}
NAMES = {
    "chain": "five empty tasks",
    "many": f"{BATCHES} batches of {LASTS:.0f} s each",
    "few": f"{BATCHES // 10} batches of {LASTS:.0f} s each",
    "pair": f"two such nights at once, {BATCHES // 10} batches each",
    "changed": f"{CHANGED} of {ROWS:,} rows changed, a batch of 1 s",
    "reused": f"{ROWS:,} rows, all reused",
}
WAITS = {"many": LASTS, "few": LASTS, "pair": LASTS, "changed": 1.0}


def measure(kind: str) -> list[dict[str, Any]]:
    """Run all cases on one Airflow; the first round is not counted, since long-lived processes import once."""
    rounds: dict[str, list[dict[str, Any]]] = {case: [] for case in CASES}
    with (
        tempfile.TemporaryDirectory(prefix="nightbatch-bench-") as name,
        stack(Path(name), kind) as running,
    ):
        chain(running, 0)
        for number in range(REPEATS):
            for case, run in CASES.items():
                result = run(running, number)
                rounds[case].append(result)
                print(
                    f"{kind}: {NAMES[case]}: {result['seconds']:.1f} s, {result['cpu']:.1f} CPU seconds",
                    flush=True,
                )
    medians = {
        case: {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        for case, runs in rounds.items()
    }
    return [
        row(kind, case, result, medians["chain"]["seconds"])
        for case, result in medians.items()
    ]


def middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def row(
    kind: str, case: str, result: dict[str, Any], chain_seconds: float
) -> dict[str, Any]:
    """Make one row of the table."""
    beyond = result["seconds"] - WAITS.get(case, 0.0)
    return {
        "airflow": kind,
        "run": NAMES[case],
        "seconds": round(result["seconds"], 1),
        "beyond the batches": round(beyond, 1),
        "in chains": round(beyond / chain_seconds, 2),
        "CPU seconds": round(result["cpu"], 1),
        "task instances": int(result["instances"]),
        "bytes in XCom": int(result["xcom_bytes"]),
        "bytes in rendered fields": int(result["rendered_bytes"]),
        "bytes in the database": int(result["database_bytes"]),
    }


def main() -> None:
    """Measure, print, renew the page."""
    if "nights" not in os.environ.get("BENCH_PARTS", "nights").split(","):
        return
    before = os.getloadavg()[0]
    rows = [line for kind in CHOSEN for line in measure(kind)]
    show("nights", TITLE, rows)
    above = f"{TITLE}.\nMeasured on {machine()}; {busy(before)}. Medians of {REPEATS}."
    renew("nights", above, rows, ROOT / "docs" / "throughput.md")


if __name__ == "__main__":
    main()
