"""The built wheel holds the package and nothing else, and works without the source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[3]
CODE = """
import pkgutil, importlib, nightbatch, nightbatch.flow
from nightbatch.money.prices import prices
print(nightbatch.__file__)
print(prices().has_price("claude-haiku-4-5"))
for name in nightbatch.__all__:
    getattr(nightbatch, name)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    uv = shutil.which("uv") or str(ROOT / ".local" / "uv" / "bin" / "uv")
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [uv, "build", "--quiet", "--wheel", "--out-dir", str(out), str(ROOT)],
        check=True,
    )
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(
    wheel: Path,
) -> None:
    names = ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"nightbatch"}
    assert {
        "nightbatch/py.typed",
        "nightbatch/money/prices.json",
        "nightbatch/flow.py",
    } <= set(names)


def test_what_is_installed_from_the_wheel_works_without_the_source_tree(
    wheel: Path, tmp_path: Path
) -> None:
    ZipFile(wheel).extractall(tmp_path / "site")
    env = {
        **os.environ,
        "PYTHONPATH": str(tmp_path / "site"),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
    }
    run = subprocess.run(
        [sys.executable, "-c", CODE],
        env=env,
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=True,
    )
    place, knows = run.stdout.splitlines()[-2:]
    assert Path(place).is_relative_to(tmp_path)
    assert knows == "True"
