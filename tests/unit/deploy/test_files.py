"""The files of docs/deploy install what the project offers, and start what Airflow has."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from tests.support.deploy import (
    DEPLOY,
    PROJECT,
    UNITS,
    airflow_folder,
    environment,
    extras_named,
    texts,
    values,
)

import nightbatch
from nightbatch.submit.decide import SubmitTiming

DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
INSTALLED = "/opt/airflow/venv/bin/airflow"
HARDENED = (
    "CapabilityBoundingSet=",
    "KillMode=mixed",
    "NoNewPrivileges=yes",
    "ProtectHome=yes",
    "ProtectSystem=strict",
    "SystemCallFilter=@system-service",
    "UMask=0077",
    "User=airflow",
)
_COMMAND = re.compile(r'name="([a-z-]+)"')

each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


def argument(name: str) -> str:
    """Return the default of an argument of the Dockerfile."""
    default = re.search(rf"^ARG {name}=(.+)$", DOCKERFILE, re.M)
    assert default is not None
    return default[1]


def commands() -> set[str]:
    """Return the names of Airflow's commands and those of its provider for Celery."""
    folder = airflow_folder()
    core = (folder / "cli" / "cli_config.py").read_text()
    celery = (folder / "providers" / "celery" / "cli" / "definition.py").read_text()
    return set(_COMMAND.findall(core)) | set(_COMMAND.findall(celery))


def test_every_extra_that_is_installed_exists() -> None:
    named = {name for text in texts().values() for name in extras_named(text)}
    named |= set(argument("EXTRAS").split(","))
    assert len(named) > 1
    assert named - PROJECT["optional-dependencies"].keys() == set()


def test_the_files_name_this_version() -> None:
    version = nightbatch.__version__
    assert argument("NIGHTBATCH") == version
    requirements = sorted(DEPLOY.rglob("requirements.txt"))
    assert len(requirements) == 3
    for file in requirements:
        assert file.read_text().rstrip().endswith(f"]=={version}"), file


def test_the_image_has_an_airflow_that_the_package_takes() -> None:
    image = re.search(r"^FROM apache/airflow:([\d.]+)-python([\d.]+)$", DOCKERFILE, re.M)  # fmt: skip
    assert image is not None
    (airflow,) = [
        line for line in PROJECT["dependencies"] if re.match(r"apache-airflow[<>=]", line)
    ]  # fmt: skip
    assert image[1] in SpecifierSet(airflow.removeprefix("apache-airflow"))
    assert image[2] in SpecifierSet(PROJECT["requires-python"])
    chart = values("values.yaml")
    assert chart["airflowVersion"] == image[1]
    assert chart["defaultAirflowTag"] == f"{image[1]}-{nightbatch.__version__}"


def test_the_image_installs_as_its_user_under_constraints_and_keeps_no_cache() -> None:
    users = re.findall(r"^USER (\w+)$", DOCKERFILE, re.M)
    assert users == ["airflow"]
    assert DOCKERFILE.index("USER airflow") < DOCKERFILE.index("RUN ")
    installs = re.findall(r"pip install ([^&]+?)\n(?! )", DOCKERFILE.replace("\\\n", " "))  # fmt: skip
    assert len(installs) == 1
    assert "--no-cache-dir" in installs[0]
    assert '--constraint "${HOME}/constraints.txt"' in installs[0]
    assert '"apache-airflow==${AIRFLOW_VERSION}"' in installs[0]


@each_unit
def test_a_unit_is_one_that_systemd_takes(unit: Path, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("no systemd-analyze on this machine")
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace(INSTALLED, shutil.which("true") or ""))
    completed = subprocess.run(
        [verify, "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (completed.returncode, completed.stderr) == (0, "")


@each_unit
def test_a_unit_starts_a_command_of_airflow(unit: Path) -> None:
    (line,) = re.findall(rf"^ExecStart={INSTALLED} (.+)$", unit.read_text(), re.M)
    words = [word for word in line.split(" --")[0].split() if word]
    assert words
    assert set(words) - commands() - {"celery"} == set()


@each_unit
def test_a_unit_is_confined(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert [setting for setting in HARDENED if setting not in lines] == []
    assert "EnvironmentFile=/etc/airflow/airflow.env" in lines


def test_every_part_of_airflow_has_a_unit() -> None:
    assert [unit.name for unit in UNITS] == [
        "airflow-api-server.service",
        "airflow-dag-processor.service",
        "airflow-scheduler.service",
        "airflow-triggerer@.service",
        "airflow-worker@.service",
    ]


def test_a_worker_has_time_to_send_a_batch_before_systemd_kills_it() -> None:
    text = (DEPLOY / "systemd" / "airflow-worker@.service").read_text()
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.M)
    assert int(seconds) > SubmitTiming().send


def test_the_environment_file_has_no_value_that_looks_like_a_secret() -> None:
    hidden = {
        name: value
        for name, value in environment().items()
        if re.search("KEY|SECRET$|CONN$|BROKER_URL|RESULT_BACKEND", name)
    }
    assert len(hidden) >= 6
    assert all("REPLACE" in value for value in hidden.values())


@pytest.mark.parametrize("name", ["mwaa/startup.sh", "composer/environment.sh"])
def test_a_script_is_one_that_a_shell_reads(name: str) -> None:
    completed = subprocess.run(
        ["sh", "-n", str(DEPLOY / name)], capture_output=True, text=True, check=False
    )
    assert (completed.returncode, completed.stderr) == (0, "")
