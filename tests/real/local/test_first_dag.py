"""The page "Your first DAG" works as it is written: its commands are run, and print what it shows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import duckdb
import pytest
from tests.support.airflow.commands import SHELL_FUNCTION
from tests.support.pages import ROOT, Block, blocks

from nightbatch.local.print_shell import shell_lines
from nightbatch.local.stack.environment import plain_env
from nightbatch.local.stack.settings import EMULATOR, S3, Settings
from nightbatch.local.stack.stack import Stack

PAGE = ROOT / "docs" / "first-dag.md"
PATIENCE_SECONDS = 280
PORT = re.compile(r"127\.0\.0\.1:\d+")
MARK = "===== block"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start what `make up` starts, but for Airflow: the page runs its own."""
    home = tmp_path_factory.mktemp("stack") / "home"
    with Stack(Settings(home=home, parts=(S3, EMULATOR))) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project's root with an empty folder of DAGs."""
    root = tmp_path / "project"
    root.mkdir()
    for name in (".venv", "plugins"):
        (root / name).symlink_to(ROOT / name)
    (root / "dags").mkdir()
    return root


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home in which DuckDB has its S3 extension, which it would else download."""
    folder = tmp_path / "home"
    extensions = Path(str(files("duckdb_extension_httpfs")))
    extension = next(extensions.rglob("httpfs.duckdb_extension"))
    settings = {"extension_directory": str(folder / ".duckdb" / "extensions")}
    folder.mkdir()
    with duckdb.connect(config=settings) as connection:
        connection.execute(f"INSTALL '{extension}'")
    return folder


def test_the_page_begins_with_what_make_up_prints(stack: Stack) -> None:
    up, printed, *_ = blocks(PAGE)
    lines = shell_lines(s3_url=stack.lake.url, emulator_url=stack.emulator_url)
    assert up == Block("sh", "make up\n")
    assert _without_ports(printed.text) == _without_ports("\n".join(lines) + "\n")


def test_every_command_of_the_page_prints_what_the_page_shows(
    stack: Stack, project: Path, home: Path
) -> None:
    connection_lines = shell_lines(
        s3_url=stack.lake.url, emulator_url=stack.emulator_url
    )
    page_blocks = list(blocks(PAGE))[2:]
    pieces = [
        _piece(number, block)
        for number, block in enumerate(page_blocks)
        if block.language != "text"
    ]
    script = "\n".join(["set -e", SHELL_FUNCTION, *connection_lines, *pieces])
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=project,
        env={**plain_env(), "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-5_000:]
    assert _unprinted_lines(page_blocks, done.stdout) == []
    assert stack.books()["bought"]["requests"] == 10
    assert list((project / "dags").glob("review_topics*")) == []


def _without_ports(text: str) -> str:
    return PORT.sub("127.0.0.1:PORT", text)


def _piece(number: int, block: Block) -> str:
    """Return a block as shell commands: a Python block is saved under the name in its first line."""
    if block.language == "sh":
        return f"echo '{MARK} {number}'\n{block.text}"
    file_name = block.text.splitlines()[0].removeprefix("# ")
    return f"cat > {file_name} <<'END_OF_FILE'\n{block.text}END_OF_FILE"


def _unprinted_lines(page_blocks: list[Block], stdout: str) -> list[str]:
    """Return the lines that the page shows and that the commands above them have not printed."""
    unprinted_lines = []
    for number, block in enumerate(page_blocks):
        if block.language == "text":
            output = _output(stdout, number - 1)
            lines = block.text.splitlines()
            unprinted_lines += [line for line in lines if line not in output]
    return unprinted_lines


def _output(stdout: str, number: int) -> str:
    """Return what the commands of one block have printed."""
    after_mark = stdout.split(f"{MARK} {number}\n", maxsplit=1)[1]
    return after_mark.split(MARK, maxsplit=1)[0]
