"""Services start, become healthy and end with everything that they have started."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from nightbatch.local.stack.environment import plain_env
from nightbatch.local.stack.errors import NotReady, ServiceDied
from nightbatch.local.stack.processes import Service, marked, sweep

# As Airflow does with its tasks: a child in a process group of its own, deaf to SIGTERM.
PARENT = """
import signal, subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('child', flush=True); time.sleep(60)"
subprocess.Popen([sys.executable, "-c", child], process_group=0)
print("up", flush=True)
time.sleep(60)
"""
OWNER = """
import sys, time
from pathlib import Path
from nightbatch.local.stack.environment import plain_env
from nightbatch.local.stack.processes import Service
from nightbatch.local.stack.reaper import Reaper
home = Path(sys.argv[1])
Reaper(home)
Service("part", (sys.executable, "-c", sys.argv[2]), plain_env(), home, lambda _: True).start()
time.sleep(60)
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    sweep(tmp_path)


def service(
    home: Path, code: str = PARENT, *, name: str = "part", patience: float = 20.0
) -> Service:
    made = Service(
        name,
        (sys.executable, "-c", code),
        plain_env(),
        home,
        lambda _: "up" in made.tail(),
        patience,
    )
    return made


def wait_until(count: int, home: Path) -> None:
    deadline = time.monotonic() + 20
    while len(marked(home)) != count:
        assert time.monotonic() < deadline, (
            f"{len(marked(home))} processes instead of {count}"
        )
        time.sleep(0.05)


def test_a_service_is_healthy_when_it_says_so(home: Path) -> None:
    part = service(home)
    part.start()
    part.wait_ready()
    assert part.alive
    assert psutil.pid_exists(part.pid)


def test_a_stopped_service_takes_its_children_along(home: Path) -> None:
    part = service(home)
    part.start()
    wait_until(2, home)
    part.stop(grace=5)
    assert not part.alive
    assert marked(home) == []


def test_a_killed_service_leaves_its_neighbours_alone_and_starts_again(
    home: Path,
) -> None:
    part, neighbour = service(home), service(home, name="neighbour")
    part.start()
    neighbour.start()
    wait_until(4, home)
    part.kill()
    assert not part.alive
    assert neighbour.alive
    part.restart()
    wait_until(4, home)


def test_a_service_that_ends_while_starting_shows_the_end_of_its_log(
    home: Path,
) -> None:
    part = service(home, "raise SystemExit('no such luck')")
    part.start()
    with pytest.raises(ServiceDied, match="no such luck"):
        part.wait_ready()


def test_a_service_that_never_gets_healthy_is_given_up(home: Path) -> None:
    part = service(home, "import time; time.sleep(60)", patience=0.5)
    part.start()
    with pytest.raises(NotReady, match="not healthy after"):
        part.wait_ready()


def test_a_one_off_that_fails_shows_its_code(home: Path) -> None:
    part = service(home, "raise SystemExit(3)")
    part.start()
    with pytest.raises(ServiceDied, match="code 3"):
        part.wait_done()


def test_an_owner_killed_without_warning_leaves_no_orphan(home: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(home), PARENT])
    wait_until(2, home)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    wait_until(0, home)


def test_only_what_bears_the_mark_of_this_home_is_swept(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    stranger = service(elsewhere)
    stranger.start()
    wait_until(2, elsewhere)
    sweep(home)
    assert stranger.alive
    stranger.kill()


def test_the_users_own_credentials_do_not_reach_the_stack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a-real-key")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("NO_PROXY", "intranet")
    env = plain_env()
    assert (
        not {"ANTHROPIC_API_KEY", "AWS_PROFILE", "AIRFLOW__CORE__EXECUTOR"} & env.keys()
    )
    assert env["NO_PROXY"] == "intranet,127.0.0.1,localhost"
