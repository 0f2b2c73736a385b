"""The local stack and the emulator: private files, no foreign pages, no folder emptied that is not theirs."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.settings import Settings
from nightbatch.local.__main__ import main
from nightbatch.local.environment import new_passwords, plain_env
from nightbatch.local.errors import HomeForeign
from nightbatch.local.home import MARK, Home

KEYS = {"x-api-key": "sk-test", "anthropic-version": "2026-10-21"}
CONTROLS = ["reset", "clock", "faults"]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Run an emulator."""
    with running(Settings()) as emulator:
        yield emulator


def mode(path: Path) -> int:
    """Return who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://[::1"])
def test_a_page_of_another_origin_controls_nothing(emulator: Emulator, control: str, origin: str) -> None:
    headers = {"origin": origin, "content-type": "text/plain"}
    answer = httpx.post(f"{emulator.url}/_emulator/{control}", content="{}", headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
@pytest.mark.parametrize("path", ["/_emulator/books", "/v1/messages/batches"])
def test_a_name_that_is_not_its_own_reads_nothing(emulator: Emulator, host: str, path: str) -> None:
    answer = httpx.get(f"{emulator.url}{path}", headers={"host": host, **KEYS})
    assert answer.status_code in {400, 403}
    assert "data" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "[::1]:8000"])
def test_loopbacks_own_names_are_served(emulator: Emulator, host: str) -> None:
    for origin in ({}, {"origin": "http://localhost:3000"}):
        headers = {"host": host, **KEYS, **origin}
        assert httpx.get(f"{emulator.url}/v1/messages/batches", headers=headers).status_code == 200


def test_a_name_that_was_allowed_is_served() -> None:
    with running(Settings(allowed_hosts=frozenset({"batches.internal"}))) as emulator:
        answer = httpx.get(f"{emulator.url}/v1/messages/batches", headers={"host": "batches.internal", **KEYS})
        assert answer.status_code == 200


def test_what_an_emulator_keeps_is_no_other_users_to_read(tmp_path: Path) -> None:
    state = tmp_path / "state"
    command = [sys.executable, "-m", "nightbatch.emulator", "--state", str(state), "--seconds", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=plain_env() | path()) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        params: Any = {"model": "claude-haiku-4-5", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
        body = {"requests": [{"custom_id": "a", "params": params}]}
        httpx.post(f"{url}/v1/messages/batches", json=body, headers=KEYS).raise_for_status()
        listeners = [one for one in psutil.Process(process.pid).net_connections() if one.status == "LISTEN"]
        process.terminate()
    assert {one.laddr.ip for one in listeners} == {"127.0.0.1"}
    assert mode(state) == 0o700
    assert {mode(file) for file in state.iterdir()} == {0o600}


def path() -> dict[str, str]:
    """Let a process find the same package as this one."""
    return {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}


def test_passwords_are_never_readable_by_others_while_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "passwords.json"
    file.touch(mode=0o644)
    new_passwords(file)
    assert mode(file) == 0o600


@pytest.mark.parametrize("entry", ["thesis.txt", ".git", "home.db"])
def test_a_folder_that_is_no_stacks_is_never_emptied(tmp_path: Path, entry: str, capsys: Any) -> None:
    home = tmp_path / "documents"
    home.mkdir()
    (home / entry).write_text("mine")
    with pytest.raises(HomeForeign, match="no stack has written"):
        Home(home).claim()
    for command in ("demo", "up"):
        assert main([command, "--home", str(home)]) == 1
    assert "is not emptied" in " ".join(capsys.readouterr().out.split())
    assert (home / entry).read_text() == "mine"


def test_a_link_to_such_a_folder_is_no_way_round(tmp_path: Path) -> None:
    home = tmp_path / "documents"
    home.mkdir()
    (home / "thesis.txt").write_text("mine")
    (tmp_path / "link").symlink_to(home)
    with pytest.raises(HomeForeign):
        Home(tmp_path / "link").claim()
    assert (home / "thesis.txt").exists()


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
