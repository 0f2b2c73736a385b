"""A home has one owner at a time, and ports are taken only if they are free."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nightbatch.local.stack.environment import plain_env
from nightbatch.local.stack.errors import HomeBusy, PortTaken
from nightbatch.local.stack.home import MARK, Home
from nightbatch.local.stack.ports import (
    LOOPBACK,
    RANGE,
    free_port,
    is_free,
    require_free,
)
from nightbatch.local.stack.processes import STACK_MARK, marked
from nightbatch.local.stack.settings import Settings
from nightbatch.local.stack.stack import Stack


def test_a_home_that_is_held_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    first = Home(tmp_path / "home")
    first.claim()
    (tmp_path / "home" / "database").touch()
    with pytest.raises(HomeBusy, match="Another stack is running"):
        Home(tmp_path / "home").claim()
    assert (tmp_path / "home" / "database").exists()
    first.release()
    Home(tmp_path / "home").claim()


def test_a_stale_home_is_emptied_and_its_leftovers_are_killed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / MARK).touch()
    (home / "stale").touch()
    env = {**plain_env(), STACK_MARK: str(home)}
    leftover = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], env=env
    )
    Home(home).claim()
    leftover.wait(10)
    assert marked(home) == []
    assert [path.name for path in home.iterdir()] == [MARK]


def test_a_stack_with_no_parts_starts_and_ends_and_frees_its_home(
    tmp_path: Path,
) -> None:
    settings = Settings(home=tmp_path / "home", parts=())
    for _ in range(2):
        with Stack(settings) as stack:
            stack.check()


def test_a_port_that_is_in_use_is_refused_by_number(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not is_free(port)
        with pytest.raises(PortTaken, match=str(port)):
            require_free(port)
        with pytest.raises(PortTaken):
            Stack(Settings(home=tmp_path / "home", ui_port=port))


def test_a_free_port_lies_below_those_that_clients_get() -> None:
    assert free_port() in RANGE


def test_no_port_is_picked_twice() -> None:
    ports = [free_port() for _ in range(500)]
    assert len(set(ports)) == len(ports)
