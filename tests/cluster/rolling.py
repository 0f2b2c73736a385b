"""`make rolling FROM=REVISION`: a cluster of an older version becomes one of this, part by part, while nights run.

The order is that of docs/production.md: triggerers, workers, then DAG processor, scheduler and API server. Three
backfills go through it: one that the older version has begun, one while a worker of each version runs, and one after.
Each must end green, and nothing may be bought twice.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.install.matrix import ROOT, call
from tests.support.airflow.cluster import (
    backfill,
    books,
    cluster_settings,
    ended,
    published,
    put_days,
    states,
    until,
)

from nightbatch.local.cluster.cluster import SECOND_TRIGGERER, WORKERS, Cluster
from nightbatch.local.stack.processes import Service
from nightbatch.local.stack.rest import Json
from nightbatch.local.stack.settings import (
    API_SERVER,
    DAG_PROCESSOR,
    SCHEDULER,
    TRIGGERER,
)

ROWS = 40
STOP_SECONDS = 120.0
"""How long a worker may take to finish its tasks."""
PLUGINS = "AIRFLOW__CORE__PLUGINS_FOLDER"
LATE_PARTS = (DAG_PROCESSOR, SCHEDULER, API_SERVER)
ALL = (TRIGGERER, SECOND_TRIGGERER, *WORKERS, *LATE_PARTS)


def main() -> int:
    """Upgrade under load, and print what came of it; return 1 if a run failed or a request was bought twice."""
    revision = os.environ.get("FROM", "")
    if not revision:
        print("Name the older version: make rolling FROM=v0.1.0")
        return 2
    with tempfile.TemporaryDirectory(prefix="nightbatch-rolling-") as name:
        folder = Path(name)
        older = installed(revision, folder / "older")
        dags = Path(__file__).parent / "dags"
        settings = cluster_settings(folder / "home", dags, batch_seconds=40)
        cluster = Cluster(settings)
        newer = {
            part.name: replace_version(part, older) for part in parts(cluster, ALL)
        }
        with cluster:
            result = upgraded(cluster, newer)
    print(json.dumps({"from": revision, **result}, indent=1))
    return int(set(result["states"]) != {"success"} or result["bought"]["twice"] > 0)


def installed(revision: str, folder: Path) -> Path:
    """Lay out a revision of this repository with an environment of its own; return its folder."""
    archive = subprocess.run(
        ["git", "archive", revision], cwd=ROOT, stdout=subprocess.PIPE, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    call(["uv", "sync", "--frozen", "--quiet"], folder)
    return folder


def parts(cluster: Cluster, names: tuple[str, ...]) -> list[Service]:
    """Return the parts of those names, in that order."""
    part_by_name = {part.name: part for part in cluster.parts}
    return [part_by_name[name] for name in names]


Upgrade = Callable[[], None]


def replace_version(part: Service, older: Path) -> Upgrade:
    """Let a part start from the older version; return what lets it start from this one again."""
    argv = part.argv
    env = part.env
    part.argv = [str(older / ".venv" / "bin" / "python"), *argv[1:]]
    part.env = {**env, PLUGINS: str(older / "plugins")}

    def upgrade() -> None:
        part.stop(grace=STOP_SECONDS)
        part.argv = argv
        part.env = env
        part.restart()

    return upgrade


def upgraded(cluster: Cluster, upgrade: dict[str, Upgrade]) -> Json:
    """Backfill before, during and after the upgrade; return the states of all runs and what was bought."""
    put_days(cluster, list(range(2, 10)), ROWS)
    before = backfill(cluster, 2, 4, at_once=3)
    wait_deferred(cluster, before)
    upgrade[TRIGGERER]()
    upgrade[SECOND_TRIGGERER]()
    first_worker, second_worker = WORKERS
    upgrade[first_worker]()
    run_states = ended_backfill(cluster, before)
    during = backfill(cluster, 5, 7, at_once=3)
    wait_deferred(cluster, during)
    upgrade[second_worker]()
    for name in LATE_PARTS:
        upgrade[name]()
    run_states += ended_backfill(cluster, during)
    after = backfill(cluster, 8, 9, at_once=2)
    run_states += ended_backfill(cluster, after)
    return {
        "states": run_states,
        "answered": sum(answered(cluster, day) for day in range(2, 10)),
        "rows": 8 * ROWS,
        "bought": books(cluster)["bought"],
    }


def wait_deferred(cluster: Cluster, runs: list[Json]) -> None:
    """Block until all runs wait in a triggerer."""
    until(
        lambda: states(cluster, runs).count(("wait", "deferred")) == len(runs),
        "all runs of a backfill wait",
    )


def ended_backfill(cluster: Cluster, runs: list[Json]) -> list[str]:
    """Block until a backfill has ended, since Airflow runs one of a DAG at a time; return the states of its runs."""
    run_states = ended(cluster, runs)
    query = "select id from backfill where completed_at is null"
    until(lambda: not cluster.rows(query), "the backfill is over")
    return run_states


def answered(cluster: Cluster, day: int) -> int:
    """Return the number of answered rows of a day."""
    statuses: list[str] = published(cluster, day)["_status"].to_pylist()
    return statuses.count("answered")


if __name__ == "__main__":
    sys.exit(main())
