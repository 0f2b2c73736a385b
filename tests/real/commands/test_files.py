"""Commands that take the enrichment of a file, as a DAG's: without copying its parameters to flags."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.command_output import result

from nightbatch.__main__ import main

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HEAD = """
from nightbatch import Enrichment
from pydantic import BaseModel

class Mood(BaseModel):
    happy: bool

def enrichment(name):
    return Enrichment(
        source="s3://lake/tickets/", target=f"s3://lake/{name}/", key=["id"], prompt="Is it happy? {{ body }}",
        answer=Mood, model="claude-haiku-4-5", max_tokens=50, poll_seconds=0.05,
    )
"""
DAG_TAIL = """
from airflow.sdk import DAG
from nightbatch import enrich
from pydantic import field_validator

class Shouted(Mood):
    @field_validator("happy")
    @classmethod
    def is_loud(cls, happy):
        return happy

print("printed by the file")
shouted = Enrichment(
    source="s3://lake/tickets/", target="s3://lake/shouted/", key=["id"], prompt="{{ body }}", answer=Shouted,
    model="claude-haiku-4-5",
)
with DAG("shouted", schedule=None):
    enrich(shouted)
"""
FLAGS = (
    "--source", "s3://lake/tickets/", "--prompt", "Is it happy? {{ body }}",
    "--model", "claude-haiku-4-5", "--max-tokens", "50",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with files that have one enrichment, two, none, and a mistake."""
    name = f"t{os.urandom(4).hex()}"
    bodies = {
        "one": f"mood = enrichment('{name}')\nalias = mood",
        "two": f"first = enrichment('{name}a')\nsecond = enrichment('{name}b')",
        "none": "",
        "broken": "raise KeyError('what')",
        "mistake": "Enrichment(source='lake', target='s3://lake/out/')",
    }
    for stem, body in bodies.items():
        (tmp_path / f"{stem}.py").write_text(f"{HEAD}\n{body}\n")
    return tmp_path


def test_an_estimate_of_a_file_counts_what_a_run_of_it_has_bought(
    folder: Path, lake: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(folder / "one.py")
    before = result(["estimate", file], capsys)
    report = result(["run", file], capsys)
    after = result(["estimate", file], capsys)
    assert (before["to_buy"], report["bought"]) == (50, 50)
    assert (after["to_buy"], after["reused"], after["expected_usd"]) == (0, 50, 0)
    target = report["target"]
    by_flags = result(["estimate", *FLAGS, "--target", target], capsys)
    assert by_flags["to_buy"] == 50
    assert any("answers of another version" in note for note in by_flags["notes"])
    assert not any("another version" in note for note in after["notes"])


def test_standard_output_is_the_result_alone_whatever_a_dag_file_prints_and_logs(
    tmp_path: Path, lake: S3Client
) -> None:
    file = tmp_path / "dag.py"
    file.write_text(f"{HEAD}\n{DAG_TAIL}")
    command = ["estimate", str(file), "--max-tokens", "60", "--json"]
    ran = subprocess.run(
        [sys.executable, "-m", "nightbatch", *command],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout)["to_buy"] == 50
    assert "printed by the file" in ran.stderr
    assert ran.stderr.count("Shouted.is_loud will not be run") == 1
    assert "HTTP Request" not in ran.stderr
    assert "botocore" not in ran.stderr


def test_a_flag_overrides_a_parameter_of_the_file(
    folder: Path, lake: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["estimate", str(folder / "two.py:second"), "--limit", "7"]
    assert result(command, capsys)["rows"] == 7


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("two.py", "has several: first, second. Name one"),
        ("two.py:third", "has no Enrichment 'third'"),
        ("none.py", "has no Enrichment at module level"),
        ("broken.py", "cannot be imported: KeyError: 'what'"),
        ("mistake.py", "cannot be imported: source"),
        ("absent.py", "is not a Python file"),
    ],
)
def test_a_file_that_names_no_single_enrichment_is_wrong_use(
    folder: Path, capsys: pytest.CaptureFixture[str], place: str, message: str
) -> None:
    assert main(["estimate", str(folder / place)]) == 2
    assert message in capsys.readouterr().err


COMMANDS = (
    ["ledger"],
    ["compact"],
    ["expire", "--older-than", "30d"],
    ["cancel", "--run", "dag/run"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_state_that_is_not_there_is_wrong_use(
    lake: S3Client, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main([*command, "s3://lake/_nightbatch/nowhere/"]) == 2
    assert "there is no ledger of nightbatch" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_connection_that_is_not_there_is_refused(
    lake: S3Client, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main([*command, "s3://lake/state/", "--aws-conn", "nope"]) == 2
    assert "there is no connection 'nope'" in capsys.readouterr().err


def test_a_missing_key_is_named(
    folder: Path,
    lake: S3Client,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert main(["run", str(folder / "one.py")]) == 2
    assert "no API key: set ANTHROPIC_API_KEY" in capsys.readouterr().err
