"""One DAG run on a real Airflow: its seconds, what each task took, and what Airflow's processes and database took."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.config import Config
from tests.bench.data import MAX_TOKENS, MODEL, SCHEMA, SYSTEM, TEMPLATE, write_tickets
from tests.bench.on_airflow import answers
from tests.support.servers.seaweed import ACCESS, SECRET, seaweed

from nightbatch.local.cluster.servers import POSTGRES, VALKEY
from nightbatch.local.stack.environment import connections
from nightbatch.local.stack.processes import marked
from nightbatch.local.stack.rest import FINISHED, TICK_SECONDS
from nightbatch.local.stack.settings import (
    AIRFLOW_PARTS,
    BUCKET,
    EMULATOR,
    S3,
    Settings,
)
from nightbatch.local.stack.stack import Stack
from nightbatch.messages.schema import api_schema

HERE = Path(__file__).parent
OUTSIDE = (S3, EMULATOR, POSTGRES, VALKEY)
"""What is not Airflow's, of a stack or a cluster."""
LOOK_SECONDS = 0.2
PATIENCE = 1_800.0
XCOM_SECONDS = "120"
"""For one call of Airflow's API; in the default of 5 the official DAG's requests do not always get through."""
CONF = {
    "official": lambda rows, number: {
        "key": f"tickets-{rows}/part-0.parquet",
        "answers": f"answers-{rows}-{number}.parquet",
        "ask": {
            "model": MODEL,
            "max_tokens": MAX_TOKENS,
            "system": SYSTEM,
            "schema": api_schema(SCHEMA),
        },
    },
    "ours": lambda rows, number: {
        "source": f"s3://{BUCKET}/tickets-{rows}/",
        "target": f"s3://{BUCKET}/triage-{rows}-{number}/",
        "system": SYSTEM,
        "prompt": TEMPLATE,
        "answer_schema": SCHEMA,
    },
}


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """Run SeaweedFS, the emulator with ready answers and no wait, and Airflow with both DAGs."""
    folder.joinpath("s3").mkdir()
    with seaweed(folder / "s3") as url:
        keys = {
            "aws_access_key_id": ACCESS,
            "aws_secret_access_key": SECRET,
            "region_name": "us-east-1",
        }
        client = boto3.client(
            "s3",
            endpoint_url=url,
            config=Config(s3={"addressing_style": "path"}),
            **keys,
        )
        client.create_bucket(Bucket=BUCKET)
        aws = connections(s3_url=url, emulator_url="")["AIRFLOW_CONN_AWS_DEFAULT"]
        aws = aws.replace('"local"', f'"{ACCESS}"').replace(
            '"local-secret"', f'"{SECRET}"'
        )
        made = Stack(
            Settings(
                home=folder / "home",
                dags=HERE / "dags",
                parts=(EMULATOR, *AIRFLOW_PARTS),
                emulator_args=(
                    "--responder", f"{answers.__name__}:ready", "--seconds", "0", "--retry-after", "1",
                    "--queue-limit", "10000000",
                ),
                env={
                    "AIRFLOW_CONN_AWS_DEFAULT": aws,
                    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": XCOM_SECONDS,
                },
            )
        )  # fmt: skip
        made.emulator.env = {**made.emulator.env, "PYTHONPATH": str(HERE.parents[2])}
        with made:
            for dag_id in CONF:
                made.airflow.wait_parsed(dag_id)
            made.s3_client = client  # type: ignore[attr-defined]
            yield made


def put(running: Stack, folder: Path, rows: int) -> None:
    """Put so many tickets into the lake, as one file."""
    file = write_tickets(folder / f"tickets-{rows}", rows) / "part-0.parquet"
    running.s3_client.upload_file(str(file), BUCKET, f"tickets-{rows}/part-0.parquet")  # type: ignore[attr-defined]
    file.unlink()


def measure(running: Stack, dag_id: str, rows: int, number: int) -> dict[str, Any]:
    """Run the DAG once and return what it took."""
    database = running.home / "airflow" / "airflow.db"
    before, size = cpu(running), database_bytes(database)
    with peaks(running) as seen:
        run_id = running.airflow.trigger(dag_id, conf=CONF[dag_id](rows, number))
        state = wait_ended(running, dag_id, run_id)
    after = cpu(running)
    tasks = running.airflow.tasks(dag_id, run_id)
    if state != "success":
        failed = next((task for task in tasks if task["state"] == "failed"), None)
        raise RuntimeError(
            f"{dag_id}: {running.airflow.log(failed) if failed else state}"
        )
    run = running.airflow.run(dag_id, run_id)
    return {
        "seconds": seconds(run["start_date"], run["end_date"]),
        "cpu": after["airflow"] - before["airflow"],
        "emulator_cpu": after[EMULATOR] - before[EMULATOR],
        "task_mb": seen.get("task", 0) / 1e6,
        "api_server_mb": seen.get("api-server", 0) / 1e6,
        "xcom_bytes": rendered(database, run_id, "xcom", "value"),
        "rendered_bytes": rendered(
            database, run_id, "rendered_task_instance_fields", "rendered_fields"
        ),
        "database_bytes": database_bytes(database) - size,
        "tasks": [
            told(task, run["start_date"])
            for task in sorted(tasks, key=lambda task: task["start_date"] or "~")
        ],
    }


def wait_ended(running: Stack, dag_id: str, run_id: str) -> str:
    """Block until the run has ended; an API server that is busy with a large XCom may not answer for a while."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError):
            if (state := running.airflow.run(dag_id, run_id)["state"]) in FINISHED:
                return str(state)
        time.sleep(TICK_SECONDS)
    raise TimeoutError(f"{dag_id} has not ended in {PATIENCE:.0f} s")


def told(task: Mapping[str, Any], since: str) -> dict[str, Any]:
    """Tell of one task when it began and how long it took."""
    name = task["task_id"] + (
        f"[{task['map_index']}]" if task["map_index"] >= 0 else ""
    )
    began = task["start_date"] and seconds(since, task["start_date"])
    return {
        "task": name,
        "state": task["state"],
        "began": began,
        "seconds": task["duration"],
    }


def seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def cpu(running: Stack) -> dict[str, float]:
    """Return the CPU seconds used so far by Airflow's processes and by the emulator, their ended children included."""
    seconds_of = {
        part.name: sum(map(_cpu, marked(running.home, part.name)))
        for part in running.parts
    }
    airflow = sum(
        seconds for name, seconds in seconds_of.items() if name not in OUTSIDE
    )
    return {"airflow": airflow, **seconds_of}


def _cpu(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(
            times.user + times.system + times.children_user + times.children_system
        )
    return 0.0


@contextmanager
def peaks(running: Stack) -> Iterator[dict[str, int]]:
    """Collect, while the block runs, the peak RSS in bytes of a task's processes and of the API server's."""
    seen: dict[str, int] = {}
    done = threading.Event()

    def look() -> None:
        while not done.wait(LOOK_SECONDS):
            _note(seen, "task", running.scheduler.pid, itself=False)
            _note(seen, "api-server", running.api_server.pid, itself=True)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def _note(seen: dict[str, int], name: str, pid: int, *, itself: bool) -> None:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in [*process.children(recursive=True), *([process] if itself else [])]:
            seen[name] = max(seen.get(name, 0), _peak(one.pid))


def _peak(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return 0


def database_bytes(path: Path) -> int:
    """Return the bytes of the metadata database that are in use."""
    with sqlite3.connect(path, timeout=60) as database:
        pages, free, size = (
            database.execute(f"pragma {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def rendered(path: Path, run_id: str, table: str, column: str) -> int:
    """Return the bytes that a run has left in a column of the metadata database."""
    with sqlite3.connect(path, timeout=60) as database:
        found = database.execute(
            f"select sum(length({column})) from {table} where run_id = ?", [run_id]
        ).fetchone()
    return int(found[0] or 0)


def wait_idle(running: Stack) -> None:
    """Let Airflow finish what a run has left to do."""
    last = cpu(running)["airflow"]
    for _ in range(20):
        time.sleep(1)
        last, now = cpu(running)["airflow"], last
        if last - now < 0.5:
            return
