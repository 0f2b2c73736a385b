"""The local stack and the emulator: private files, listeners on loopback, no folder emptied that is not theirs."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from nightbatch.emulator.batches.store import Store
from nightbatch.local.__main__ import main
from nightbatch.local.stack.environment import new_passwords, plain_env
from nightbatch.local.stack.errors import HomeForeign
from nightbatch.local.stack.home import MARK, Home
from nightbatch.local.stack.processes import marked
from nightbatch.local.stack.settings import EMULATOR, PROJECT, S3
from nightbatch.local.stack.settings import Settings as StackSettings
from nightbatch.local.stack.stack import Stack

KEYS = {"x-api-key": "sk-test", "anthropic-version": "2026-10-21"}


def mode(path: Path) -> int:
    """Return who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_what_an_emulator_keeps_is_no_other_users_to_read(tmp_path: Path) -> None:
    state = tmp_path / "state"
    command = [
        sys.executable,
        "-m",
        "nightbatch.emulator",
        "--state",
        str(state),
        "--seconds",
        "0.01",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=plain_env() | path()
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        params: Any = {
            "model": "claude-haiku-4-5",
            "max_tokens": 10,
            "messages": [{"role": "user", "content": "Hi"}],
        }
        body = {"requests": [{"custom_id": "a", "params": params}]}
        httpx.post(
            f"{url}/v1/messages/batches", json=body, headers=KEYS
        ).raise_for_status()
        listeners = [
            connection
            for connection in psutil.Process(process.pid).net_connections()
            if connection.status == "LISTEN"
        ]
        process.terminate()
    assert {listener.laddr.ip for listener in listeners} == {"127.0.0.1"}
    assert mode(state) == 0o700
    assert {mode(file) for file in state.iterdir()} == {0o600}


def path() -> dict[str, str]:
    """Let a process find the same package as this one."""
    return {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}


def test_passwords_are_never_readable_by_others_while_they_are_written(
    tmp_path: Path,
) -> None:
    file = tmp_path / "passwords.json"
    file.touch(mode=0o644)
    new_passwords(file)
    assert mode(file) == 0o600


@pytest.mark.parametrize("entry", ["thesis.txt", ".git", "home.db"])
def test_a_folder_that_is_no_stacks_is_never_emptied(
    tmp_path: Path, entry: str, capsys: Any
) -> None:
    home = tmp_path / "documents"
    home.mkdir()
    (home / entry).write_text("mine")
    with pytest.raises(HomeForeign, match="no stack has written"):
        Home(home).claim()
    for command in ("demo", "up"):
        assert main([command, "--home", str(home)]) == 2
    assert "is not emptied" in " ".join(capsys.readouterr().out.split())
    assert (home / entry).read_text() == "mine"


def test_a_foreign_folder_gets_no_lock_beside_it(tmp_path: Path) -> None:
    home = tmp_path / "documents"
    home.mkdir()
    (home / "thesis.txt").write_text("mine")
    with pytest.raises(HomeForeign):
        Home(home).claim()
    assert [path.name for path in tmp_path.iterdir()] == ["documents"]


@pytest.mark.parametrize("entries", [[], ["thesis.txt"], [MARK]])
def test_a_link_is_refused_wherever_it_leads(
    tmp_path: Path, entries: list[str]
) -> None:
    home = tmp_path / "documents"
    home.mkdir()
    for entry in entries:
        (home / entry).touch()
    (tmp_path / "link").symlink_to(home)
    assert main(["demo", "--home", str(tmp_path / "link")]) == 2
    with pytest.raises(HomeForeign, match="is a link"):
        Stack(StackSettings(home=tmp_path / "link", parts=())).__enter__()
    assert [path.name for path in home.iterdir()] == entries


def test_a_mark_that_is_a_link_marks_nothing(tmp_path: Path) -> None:
    home = tmp_path / "documents"
    home.mkdir()
    (tmp_path / "elsewhere").touch()
    (home / MARK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HomeForeign):
        Home(home).claim()


@pytest.mark.parametrize(
    "home", [Path("/"), Path.home(), Path.home().parent, PROJECT, PROJECT.parent]
)
def test_no_folder_that_holds_the_project_or_the_users_own_files_is_taken(
    home: Path,
) -> None:
    with pytest.raises(HomeForeign, match="is or holds"):
        Home(home).claim()


def test_a_file_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(HomeForeign, match="is a file"):
        Home(tmp_path / "file").claim()


def test_a_stack_of_real_parts_leaves_private_files_and_listens_on_loopback_only(
    tmp_path: Path,
) -> None:
    before = os.umask(0o022)  # as most shells have it
    try:
        with Stack(
            StackSettings(home=tmp_path / "home", parts=(S3, EMULATOR))
        ) as stack:
            new_passwords(stack.home / "passwords.json")
            stack.lake.put("a/b/part-0.parquet", b"rows")
            stack.lake.save(stack.home / "lake")
            addresses = {
                connection.laddr.ip
                for process in marked(stack.home)
                for connection in process.net_connections()
                if connection.status == "LISTEN"
            }
    finally:
        os.umask(before)
    files = [tmp_path / "home", *(tmp_path / "home").rglob("*")]
    assert (tmp_path / "home" / "lake" / "a" / "b" / "part-0.parquet") in files
    assert {oct(mode(path)) for path in files if path.is_dir()} == {"0o700"}
    assert {oct(mode(path)) for path in files if path.is_file()} == {"0o600"}
    assert addresses == {"127.0.0.1"}


def test_a_state_folder_with_other_files_keeps_its_rights(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "notes.txt").touch()
    Store(tmp_path).close()
    assert mode(tmp_path) == 0o755


def test_an_empty_folder_and_an_earlier_stacks_are_taken(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for _ in range(2):
        claimed = Home(home)
        claimed.claim()
        (home / "airflow.db").touch()
        claimed.release()
    assert mode(home) == 0o700
    assert (home / MARK).is_file()
