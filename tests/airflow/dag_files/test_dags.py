"""`airflow dags test` with nothing but the two connections given."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.support.airflow.commands import AirflowCommands, airflow_commands

from nightbatch.emulator.embedded import Emulator
from nightbatch.local.stack.environment import connections, plain_env
from nightbatch.local.stack.settings import EMULATOR, PROJECT, S3, Settings
from nightbatch.local.stack.stack import Stack

ROWS = 120
MARK = "a-review-that-nobody-else-may-read"
CONF = {
    "source": "s3://lake/shop/reviews/",
    "target": "s3://lake/shop/stars/",
    "partition": "country=NZ/dt=2026-11-21",
    "key": ["review_id"],
    "keep": ["price", "bought_at"],
    "system": "You rate reviews.",
    "prompt": "{% if product %}About {{ product }}: {% endif %}{{ text }}",
    "answer_schema": {
        "type": "object",
        "properties": {
            "stars": {"type": "integer", "minimum": 1, "maximum": 5},
            "why": {"type": "string"},
        },
        "required": ["stars", "why"],
    },
    "model": "claude-haiku-4-5",
    "max_tokens": 200,
    "max_batch_requests": 50,
    "canary": "never",
}


@dataclass(frozen=True)
class Bench:
    """An Airflow home of its own beside an S3 server and the local Message Batches API."""

    stack: Stack
    commands: AirflowCommands
    home: Path

    def test_dag(
        self, conf: dict[str, Any], dag_id: str = "enrich_parquet", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `airflow dags test`, with these variables besides the rest of the environment."""
        conf_json = json.dumps(conf)
        return self.commands.run(
            "dags", "test", dag_id, "--conf", conf_json, **environment
        )

    def files(self) -> Iterator[Path]:
        """Name every file that Airflow has written."""
        return (path for path in self.home.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Start S3 and the emulator, and make a fresh Airflow home."""
    root = tmp_path_factory.mktemp("dags_test")
    home = root / "airflow"
    settings = Settings(
        home=root / "stack", parts=(S3, EMULATOR), emulator_args=("--seconds", "0.2")
    )
    with Stack(settings) as stack:
        env = plain_env() | connections(
            s3_url=stack.lake.url, emulator_url=stack.emulator_url
        )
        env |= {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        with airflow_commands(env) as commands:
            assert commands.run("db", "migrate").returncode == 0
            yield Bench(stack, commands, home)


@pytest.fixture(scope="module")
def reviews(bench: Bench) -> pa.Table:
    """Put a partition in two files whose columns stand in different orders."""
    table = pa.table(
        {
            "review_id": pa.array(range(ROWS), pa.int32()),
            "product": pa.array(
                [None if i % 7 == 0 else f"kettle {i % 5}" for i in range(ROWS)]
            ).dictionary_encode(),
            "text": [
                f"{MARK} {{{{ {i % 100} }}}} “fine” \x01 🫖\n" for i in range(ROWS)
            ],
            "price": pa.array(list(range(ROWS)), pa.decimal128(9, 2)),
            "bought_at": pa.array(
                [i * 10**9 for i in range(ROWS)], pa.timestamp("ns", "Pacific/Auckland")
            ),
        }
    )
    folder = f"shop/reviews/{CONF['partition']}"
    bench.stack.lake.put_table(f"{folder}/a.parquet", table.slice(0, 70))
    bench.stack.lake.put_table(
        f"{folder}/b.parquet", table.slice(70).select(table.column_names[::-1])
    )
    bench.stack.lake.put(f"{folder}/_SUCCESS", b"")
    return table


@pytest.fixture(scope="module")
def outcome(bench: Bench, reviews: pa.Table) -> subprocess.CompletedProcess[str]:
    """Run the DAG once."""
    return bench.test_dag(CONF)


def published(bench: Bench) -> pa.Table:
    """Read what was published."""
    return bench.stack.lake.table(f"shop/stars/{CONF['partition']}/")


def test_two_connections_are_all_it_needs(
    outcome: subprocess.CompletedProcess[str],
) -> None:
    assert outcome.returncode == 0, outcome.stdout[-3000:] + outcome.stderr[-3000:]
    assert "state=success" in outcome.stdout


def test_rows_come_out_once_in_order_and_typed(
    bench: Bench, reviews: pa.Table, outcome: subprocess.CompletedProcess[str]
) -> None:
    rows = published(bench)
    assert rows.column_names[:5] == ["review_id", "price", "bought_at", "stars", "why"]
    for name in ("review_id", "price", "bought_at"):
        assert rows[name].to_pylist() == reviews[name].to_pylist()
        assert rows.schema.field(name).type == reviews.schema.field(name).type
    assert rows.schema.field("stars").type == pa.int64()
    assert set(rows["_status"].to_pylist()) == {"answered"}


def test_the_target_named_in_the_form_is_told_as_an_asset_with_the_report(
    bench: Bench, outcome: subprocess.CompletedProcess[str]
) -> None:
    with closing(sqlite3.connect(bench.home / "airflow.db")) as database:
        events = database.execute(
            "SELECT uri, e.extra FROM asset_event e JOIN asset a ON a.id = asset_id"
        ).fetchall()
    assert [(uri, json.loads(extra)["rows"], json.loads(extra)["partition"]) for uri, extra in events] == [
        (CONF["target"].rstrip("/"), ROWS, CONF["partition"]),
    ]  # fmt: skip


def test_running_it_again_buys_nothing_and_touches_nothing(
    bench: Bench, outcome: subprocess.CompletedProcess[str]
) -> None:
    before = list(bench.stack.lake.keys("shop/stars/"))
    bought = bench.stack.books()["bought"]
    again = bench.test_dag(CONF)
    assert again.returncode == 0
    assert bench.stack.books()["bought"] == bought
    assert bought["twice"] == 0
    assert list(bench.stack.lake.keys("shop/stars/")) == before


def test_a_mistake_in_the_form_buys_nothing_and_says_what_to_do(
    bench: Bench, reviews: pa.Table
) -> None:
    bought = bench.stack.books()["bought"]
    failed = bench.test_dag(CONF | {"prompt": "About {{ produkt }}"})
    assert (
        "the template names 'produkt', but the source has no such column"
        in failed.stdout
    )
    assert bench.stack.books()["bought"] == bought


def test_a_run_changes_nothing_that_an_authors_dag_does_not_declare(
    bench: Bench, reviews: pa.Table
) -> None:
    before = list(bench.stack.lake.keys(""))
    bought = bench.stack.books()["bought"]
    changes = {
        "prompt": "OVERRIDDEN",
        "target": "s3://lake/elsewhere/",
        "max_cost_usd": None,
        "approve_above_usd": None,
    }
    failed = bench.test_dag(changes | {"partition": CONF["partition"]}, "ticket_triage")
    refusal = "approve_above_usd, max_cost_usd, prompt, target: the DAG does not let a run change it"
    assert refusal in failed.stdout + failed.stderr
    assert list(bench.stack.lake.keys("")) == before
    assert bench.stack.books()["bought"] == bought


def test_no_form_reaches_beyond_the_roots_of_the_deployment(
    bench: Bench, reviews: pa.Table
) -> None:
    bought = bench.stack.books()["bought"]
    roots = "s3://lake/shop/stars/,s3://lake/_nightbatch/"
    failed = bench.test_dag(
        CONF | {"prompt": "Again: {{ text }}"}, NIGHTBATCH_ROOTS=roots
    )
    assert (
        "source: s3://lake/shop/reviews/ lies below none of the places"
        in failed.stdout + failed.stderr
    )
    assert bench.stack.books()["bought"] == bought


FAULTS = (
    {"where": "row", "what": "errored", "type": "api_error", "probability": 0.08},
    {"where": "row", "what": "expired", "probability": 0.08},
    {
        "where": "row",
        "what": "errored",
        "type": "overloaded_error",
        "probability": 0.05,
    },
    {"where": "row", "what": "invalid_json", "probability": 0.04},
    {"where": "row", "what": "refusal", "probability": 0.03},
    {"where": "row", "what": "max_tokens", "probability": 0.03},
    {"where": "results", "what": "reset", "probability": 0.3},
    {"where": "results", "what": "cut_clean", "probability": 0.3},
    {"where": "results", "what": "garbled", "lines": 2, "probability": 0.3},
)


def test_a_night_in_which_everything_fails_publishes_every_row_with_its_reason(
    bench: Bench, reviews: pa.Table
) -> None:
    partition = "country=NZ/dt=2026-11-22"
    changed = [f"{text} once more" for text in reviews["text"].to_pylist()]
    rows = reviews.set_column(2, "text", pa.array(changed))
    bench.stack.lake.put_table(f"shop/reviews/{partition}/a.parquet", rows)
    emulator = Emulator(bench.stack.emulator_url)
    emulator.faults(*FAULTS)
    ran = bench.test_dag(
        CONF | {"partition": partition, "min_answered": 0.5, "canary": "always"}
    )
    emulator.clear_faults()
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert "state=success" in ran.stdout
    out = bench.stack.lake.table(f"shop/stars/{partition}/")
    told = json.loads(bench.stack.lake.get(f"shop/stars/{partition}/_SUCCESS"))
    assert out["review_id"].to_pylist() == rows["review_id"].to_pylist()
    assert told["by_status"] == dict(Counter(out["_status"].to_pylist()))
    assert all(row["_error"] for row in out.to_pylist() if row["_status"] != "answered")
    assert MARK not in ran.stdout + ran.stderr


def test_no_row_reaches_airflow(
    bench: Bench, outcome: subprocess.CompletedProcess[str]
) -> None:
    assert [path for path in bench.files() if MARK.encode() in path.read_bytes()] == []
    assert MARK not in outcome.stdout + outcome.stderr
