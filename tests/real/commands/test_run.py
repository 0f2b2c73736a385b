"""`python -m nightbatch run`: a partition is enriched in one process, without Airflow."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from tests.support.crashes import processes

from nightbatch.__main__ import main
from nightbatch.emulator.embedded import Emulator
from nightbatch.environment import FAILPOINTS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PURCHASE = (
    "--source", "s3://lake/tickets/", "--key", "id", "--prompt", "Say: {{ body }}", "--model", "claude-haiku-4-5",
    "--max-tokens", "50",
)  # fmt: skip
COMMON = ("run", *PURCHASE, "--poll-seconds", "0.05")


@pytest.fixture
def command(request: pytest.FixtureRequest) -> list[str]:
    """Return a command with a target of the test's own: all tests share one lake."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
    return [*COMMON, "--target", f"s3://lake/{name}/"]


def report(command: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Run the command with --json, and return the report."""
    assert main([*command, "--json"]) == 0
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


def test_rows_are_answered_and_published(
    command: list[str], lake: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = command[-1].removeprefix("s3://lake/")
    content = report(command, capsys)
    assert (content["rows"], content["bought"], content["by_status"]) == (
        50,
        50,
        {"answered": 50},
    )
    keys = [
        entry["Key"]
        for entry in lake.list_objects_v2(Bucket="lake", Prefix=prefix)["Contents"]
    ]
    assert f"{prefix}_SUCCESS" in keys
    part = next(key for key in keys if key.endswith(".parquet"))
    body = lake.get_object(Bucket="lake", Key=part)["Body"].read()
    assert pq.read_table(io.BytesIO(body))["id"].to_pylist() == list(range(50))


def test_a_second_run_buys_nothing(
    command: list[str],
    lake: S3Client,
    capsys: pytest.CaptureFixture[str],
    message_batches_api: Emulator,
) -> None:
    report(command, capsys)
    content = report(command, capsys)
    assert (content["bought"], content["reused"]) == (0, 50)
    assert message_batches_api.books()["accepted"]["twice"] == 0


def test_people_read_rows_purchases_and_money(
    command: list[str], lake: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 0
    seen = capsys.readouterr()
    assert (
        seen.out.splitlines()[0] == f"Published 50 rows in {command[-1]}: 50 answered."
    )
    assert (
        seen.out.splitlines()[1] == "Bought 50 requests in 2 batches, reused 0 answers."
    )
    assert seen.out.splitlines()[2].startswith("Cost $0.")
    assert "2 of 2 batches ended" in seen.err or "1 of 1 batch ended" in seen.err


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--max-tokens", "0"), "max_tokens"),
        (("--target", "s3://lake/tickets/out/"), "target"),
        (("--model", " "), "model"),
    ],
)
def test_a_wrong_parameter_is_wrong_use(
    command: list[str],
    lake: S3Client,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, str],
    says: str,
) -> None:
    assert main([*command, *flags]) == 2
    assert says in capsys.readouterr().err


def test_a_run_that_publishes_nothing_ends_with_one_and_says_why(
    command: list[str],
    lake: S3Client,
    capsys: pytest.CaptureFixture[str],
    message_batches_api: Emulator,
) -> None:
    prefix = command[-1].removeprefix("s3://lake/")
    message_batches_api.faults({"where": "row", "what": "expired"})
    assert main([*command, "--attempts", "1", "--canary", "never"]) == 1
    assert "min_answered" in capsys.readouterr().err
    assert "Contents" not in lake.list_objects_v2(Bucket="lake", Prefix=prefix)


def test_a_purchase_that_needs_approval_is_made_only_with_yes(
    command: list[str],
    lake: S3Client,
    capsys: pytest.CaptureFixture[str],
    message_batches_api: Emulator,
) -> None:
    assert main([*command, "--approve-above-usd", "0"]) == 1
    assert "--yes" in capsys.readouterr().err
    assert message_batches_api.books()["batches"].get("created", 0) == 0
    assert main([*command, "--approve-above-usd", "0", "--yes"]) == 0


def test_a_process_that_is_killed_is_run_again_and_buys_once(
    command: list[str],
    lake: S3Client,
    message_batches_api: Emulator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for point in ("batch created", "owner written", "results staged"):
        (tmp_path / point).touch()
    command += ["--canary", "never"]
    environment = {**os.environ, FAILPOINTS: str(tmp_path)}
    for _ in range(3):
        assert processes.run_command(command, environment) == processes.KILLED
    assert report(command, capsys)["by_status"] == {"answered": 50}
    assert message_batches_api.books()["accepted"]["twice"] == 0


def test_neither_an_estimate_nor_a_run_imports_airflow(
    command: list[str], lake: S3Client
) -> None:
    target_flags = command[-2:]
    estimate = ["estimate", *PURCHASE, *target_flags]
    code = (
        "import sys; from nightbatch.__main__ import main; "
        f"print(main({estimate!r}), main({command!r}), 'airflow' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert run.stdout.splitlines()[-1] == "0 0 False"
