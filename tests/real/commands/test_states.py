"""Commands that look after a state take a DAG's file in the place of the state's URL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.command_output import result

from nightbatch.__main__ import main
from nightbatch.ledger import keys
from nightbatch.ledger.state.mark import MARK

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RUN = "command/night"
HEAD = """
from nightbatch import Enrichment

def enrichment(**others):
    return Enrichment(
        source="s3://lake/tickets/", key=["id"], prompt="Is it happy? {{ body }}", model="claude-haiku-4-5",
        max_tokens=50, poll_seconds=0.05, canary="never", **others,
    )
"""


def command_of(name: str, place: str) -> list[str]:
    """Return a command that looks after the state of a file, or of a URL."""
    flags = {"cancel": ["--run", RUN], "expire": ["--older-than", "1h", "--dry-run"]}
    return [name, place, *flags.get(name, [])]


NAMES = ("cancel", "compact", "expire", "ledger")


@pytest.fixture
def target() -> str:
    """Return a target of the test's own: all tests share one lake."""
    return f"t{os.urandom(4).hex()}/nightly"


@pytest.fixture
def folder(tmp_path: Path, target: str) -> Path:
    """Return a folder with files that have one enrichment, two, and none that has a place."""
    bodies = {
        "one": f"mood = enrichment(target='s3://lake/{target}/')",
        "two": f"mood = enrichment(target='s3://lake/{target}/')\nother = enrichment(target='s3://lake/{target}2/')",
        "nowhere": "mood = enrichment()",
        "none": "",
        "named": f"mood = enrichment(target='s3://lake/{target}/', state='s3://lake/state/{target}/')",
    }
    for stem, body in bodies.items():
        (tmp_path / f"{stem}.py").write_text(f"{HEAD}\n{body}\n")
    return tmp_path


@pytest.mark.parametrize("file", ["one.py", "two.py:mood", "named.py"])
def test_a_file_stands_for_the_state_of_its_enrichment(
    folder: Path, lake: S3Client, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    place = str(folder / file)
    result(["run", place, "--run-id", RUN], capsys)
    standing = result(command_of("ledger", place), capsys)
    assert standing == {"claims": 1, "landed": 1, "in_flight": []}
    compacted = result(command_of("compact", place), capsys)
    assert (compacted["landed"], len(compacted["indexes"])) == (1, 1)
    expired = result(command_of("expire", place), capsys)
    assert expired == {"dry_run": True, "snapshots": [], "shards": [], "kept": []}
    canceled = result(command_of("cancel", place), capsys)
    assert (canceled["run"], canceled["shards"]) == (RUN, [])


def test_a_file_and_the_url_of_its_state_are_one_ledger(
    folder: Path, target: str, lake: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(folder / "one.py")
    result(["run", place], capsys)
    escaped_target = target.replace("/", "%2F")
    url = f"s3://lake/_nightbatch/{escaped_target}/"
    by_file = result(command_of("ledger", place), capsys)
    assert by_file == result(command_of("ledger", url), capsys)


def test_a_state_that_version_0_1_has_created_is_found_by_the_file(
    folder: Path, target: str, lake: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    nested_key = f"_nightbatch/{target}/{keys.MARK}"
    lake.put_object(Bucket="lake", Key=nested_key, Body=MARK)
    standing = result(command_of("ledger", str(folder / "one.py")), capsys)
    assert standing["claims"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_file_whose_enrichment_has_not_run_yet_is_named(
    folder: Path, lake: S3Client, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    place = str(folder / "one.py")
    assert main(command_of(name, place)) == 2
    message = capsys.readouterr().err
    assert f"{place}: there is no ledger of nightbatch below s3://lake/" in message
    assert "give the URL of its state" in message


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("two.py", "has several: mood, other. Name one"),
        ("two.py:third", "has no Enrichment 'third'"),
        ("none.py", "has no Enrichment at module level"),
        ("nowhere.py", "has neither a target nor a state"),
        ("absent.py", "is not a Python file, nor the URL of a state such as s3://"),
    ],
)
def test_a_file_that_names_no_state_is_wrong_use(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    file: str,
    message: str,
) -> None:
    place = str(folder / file)
    assert main(command_of(name, place)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert place.partition(":")[0] in error
