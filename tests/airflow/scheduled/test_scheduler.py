"""The nightly DAG on the real scheduler and triggerer, started through the REST API, two nights in a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from rich.console import Console

from nightbatch.local.demo import DAG_ID, SOURCE, TARGET, run_night
from nightbatch.local.sample_tickets import NIGHTS, parts, sample
from nightbatch.local.stack.errors import NightFailed
from nightbatch.local.stack.rest import Json
from nightbatch.local.stack.settings import (
    ACCESS_KEY,
    API_KEY,
    BUCKET,
    REGION,
    SECRET_KEY,
)
from nightbatch.local.stack.stack import Stack

ROWS = 400
SECRETS = (
    "marked-row-value",
    "T-MARKED-KEY",
    "You triage support tickets",
    API_KEY,
    SECRET_KEY,
)


@dataclass(frozen=True)
class Night:
    """One finished run: what went in, and what Airflow and the emulator say of it."""

    partition: str
    source: pa.Table
    state: str
    report: Json
    tasks: list[Json]
    books: Json


def mark(night: pa.Table) -> pa.Table:
    """Put values into the first row that must not turn up in Airflow's database or logs."""
    rows = night.to_pylist()
    rows[0] |= {
        "ticket_id": "T-MARKED-KEY",
        "body": "my invoice is wrong, says marked-row-value",
    }
    return pa.Table.from_pylist(rows, schema=night.schema)


def run(stack: Stack, partition: str, source: pa.Table, **how: object) -> Night:
    """Put a night's tickets, run the DAG, and gather what it left."""
    for name, part in parts(source).items():
        stack.lake.put_table(f"{SOURCE}/{partition}/{name}", part)
    airflow = stack.airflow
    airflow.wait_parsed(DAG_ID)
    run_id = airflow.trigger(DAG_ID, **how)  # type: ignore[arg-type]
    state = airflow.wait(DAG_ID, run_id, patience=150)
    report = airflow.xcom(DAG_ID, run_id, "publish") if state == "success" else {}
    return Night(
        partition, source, state, report, airflow.tasks(DAG_ID, run_id), stack.books()
    )


@pytest.fixture(scope="module")
def nights(stack: Stack) -> list[Night]:
    """Run the first night by its parameter, the second by its partition key."""
    first, second = sample(stack.settings.project, rows=ROWS).values()
    return [
        run(stack, NIGHTS[0], mark(first), conf={"partition": NIGHTS[0]}),
        run(
            stack, NIGHTS[1], mark(second), partition_key=NIGHTS[1].removeprefix("dt=")
        ),
    ]


@pytest.fixture
def warehouse(stack: Stack) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB that reads the lake."""
    extension = next(
        Path(str(files("duckdb_extension_httpfs"))).rglob("httpfs.duckdb_extension")
    )
    with duckdb.connect() as connection:
        connection.load_extension(str(extension))
        connection.execute(
            f"CREATE SECRET (TYPE s3, KEY_ID '{ACCESS_KEY}', SECRET '{SECRET_KEY}', REGION '{REGION}', "
            f"ENDPOINT '127.0.0.1:{stack.lake.port}', URL_STYLE 'path', USE_SSL false)"
        )
        yield connection


def test_both_nights_succeed(nights: list[Night]) -> None:
    assert [night.state for night in nights] == ["success", "success"]


@pytest.mark.parametrize("index", [0, 1])
def test_every_row_is_published_in_the_order_of_the_source(
    stack: Stack, nights: list[Night], index: int
) -> None:
    night = nights[index]
    published = stack.lake.table(f"{TARGET}/{night.partition}/")
    assert published["ticket_id"].to_pylist() == night.source["ticket_id"].to_pylist()
    assert f"{TARGET}/{night.partition}/_SUCCESS" in stack.lake.keys(f"{TARGET}/")


def test_duckdb_reads_the_target_as_typed_columns(
    warehouse: duckdb.DuckDBPyConnection, nights: list[Night]
) -> None:
    rows = warehouse.execute(
        "SELECT dt::VARCHAR, count(*), "
        "count(DISTINCT category), typeof(any_value(urgency)), typeof(any_value(needs_human)) "
        f"FROM read_parquet('s3://{BUCKET}/{TARGET}/*/*.parquet', hive_partitioning = true) "
        "WHERE _status = 'answered' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert [row[:2] for row in rows] == [
        (n.partition.removeprefix("dt="), n.report["answered"]) for n in nights
    ]
    assert all(row[2:] == (6, "BIGINT", "BOOLEAN") for row in rows)


def test_a_sum_over_the_target_is_the_bill(stack: Stack, nights: list[Night]) -> None:
    published = stack.lake.table(f"{TARGET}/")
    total = sum(float(cost or 0) for cost in published["_cost_usd"].to_pylist())
    assert total == pytest.approx(
        sum(night.report["cost_usd"] for night in nights), abs=1e-5
    )
    assert total == pytest.approx(nights[-1].books["cost_usd"], abs=1e-5)


def test_nothing_was_bought_twice(nights: list[Night]) -> None:
    assert nights[-1].books["bought"]["twice"] == 0
    assert nights[-1].books["accepted"]["twice"] == 0


def test_the_second_night_buys_only_what_is_new_or_changed(nights: list[Night]) -> None:
    first, second = (night.report for night in nights)
    assert first["bought"] == first["requests"] < ROWS
    assert second["bought"] == pytest.approx(ROWS / 5, abs=2)
    assert second["reused"] + second["bought"] == second["requests"]


def test_waiting_took_no_worker(nights: list[Night]) -> None:
    waits = [
        task for night in nights for task in night.tasks if task["task_id"] == "wait"
    ]
    waited = [task for task in waits if task["state"] == "success"]
    assert len(waited) >= 2
    assert all(
        task["pid"] is None and task["queued_when"] is None and not task["hostname"]
        for task in waited
    )


def test_a_night_has_a_task_for_each_word_of_the_flow_and_no_other(
    nights: list[Night],
) -> None:
    for night in nights:
        states = {task["task_id"]: task["state"] for task in night.tasks}
        assert states == dict.fromkeys(
            ("input", "prepare", "submit", "wait", "land", "publish"), "success"
        )
        assert len(night.tasks) == len(states)


def test_where_nothing_is_bought_there_is_nothing_to_wait_for_and_to_land(
    stack: Stack, nights: list[Night]
) -> None:
    again = run(stack, NIGHTS[1], nights[1].source, conf={"partition": NIGHTS[1]})
    states = {task["task_id"]: task["state"] for task in again.tasks}
    assert (states["wait"], states["land"], states["publish"]) == (
        "skipped",
        "skipped",
        "success",
    )
    assert (again.report["bought"], again.report["rows"]) == (
        0,
        nights[1].report["rows"],
    )


def test_a_night_without_a_source_fails_with_its_reason_and_buys_nothing(
    stack: Stack, nights: list[Night]
) -> None:
    with pytest.raises(NightFailed, match=r"prepare(?s:.)*dt=1999-01-01"):
        run_night(stack, "dt=1999-01-01", Console(quiet=True))
    assert stack.books()["requests"] == nights[-1].books["requests"]


def test_no_prompt_row_value_or_key_reaches_airflow(
    stack: Stack, nights: list[Night]
) -> None:
    places = [
        path
        for folder in ("airflow", "logs")
        for path in (stack.home / folder).rglob("*")
        if path.is_file()
    ]
    assert [leak for path in places for leak in leaks(path)] == []


def leaks(path: Path) -> list[str]:
    """Name the secrets that a file holds."""
    content = path.read_bytes()
    return [f"{secret} in {path}" for secret in SECRETS if secret.encode() in content]
