"""What the demo prints to be copied works, and what it says of the tickets fits them."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.emulator.responders.tickets import triage
from nightbatch.local.demo import TARGET, read_command
from nightbatch.local.print_shell import shell_lines
from nightbatch.local.stack.environment import connections


def test_the_printed_command_reads_what_was_published(tmp_path: Path) -> None:
    copy_folder = tmp_path / "a lake's copy"
    partition = copy_folder / TARGET / "dt=2026-11-20"
    partition.mkdir(parents=True)
    table = pa.table({"ticket_id": ["T-17"], "category": ["billing"]})
    pq.write_table(table, partition / "part-00000-abc.parquet")
    command = shlex.split(read_command(copy_folder))
    ran = subprocess.run(command, text=True, capture_output=True, check=True)
    assert all(text in ran.stdout for text in ("T-17", "billing", "2026-11-20"))


def test_the_printed_exports_give_a_shell_the_connections() -> None:
    urls = {"s3_url": "http://127.0.0.1:1", "emulator_url": "http://127.0.0.1:2"}
    lines = shell_lines(**urls)
    names = ("AIRFLOW_CONN_ANTHROPIC_DEFAULT", "AIRFLOW_CONN_AWS_DEFAULT")
    shown = " ".join(f'"${name}"' for name in names)
    script = "\n".join([*lines, f"printf '%s\\n' {shown}"])
    ran = subprocess.run(
        ["sh", "-c", script], text=True, capture_output=True, check=True
    )
    values = [json.loads(line) for line in ran.stdout.splitlines()]
    expected = connections(**urls)
    assert values == [json.loads(expected[name]) for name in names]


def test_a_ticket_about_danger_is_urgent_and_needs_a_human() -> None:
    burnt = triage(
        "The plug in the attic is broken: it hums and smells burnt. No hurry."
    )
    assert (burnt["category"], burnt["urgency"], burnt["needs_human"]) == (
        "bug",
        5,
        True,
    )
    calm = triage("Could you change the delivery address? I love it in Firefox.")
    assert calm["urgency"] < 3
