"""The official SDK's own tests of the batches API, run as they are against a running emulator.

They come from the source distribution of the version in uv.lock, fetched once into `.local/` (which git ignores).
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import anthropic
import pytest

ROOT = Path(__file__).parents[3]
SUITES = (
    "tests/api_resources/messages/test_batches.py",
    "tests/api_resources/beta/messages/test_batches.py",
)


@pytest.fixture(scope="session")
def sdk_source() -> Path:
    """Return the unpacked source of the locked SDK."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    version = next(
        package["version"] for package in packages if package["name"] == "anthropic"
    )
    source = ROOT / ".local" / f"anthropic-{version}"
    if not source.exists():
        half = ROOT / ".local" / f"anthropic-{version}.{os.getpid()}"
        half.mkdir(parents=True)
        _download(version, half)
        with tarfile.open(half / f"anthropic-{version}.tar.gz") as archive:
            archive.extractall(half, filter="data")
        (half / f"anthropic-{version}").rename(source)
        shutil.rmtree(half)
    return source


def _download(version: str, to: Path) -> None:
    options = [
        "--no-deps",
        "--no-binary",
        "anthropic",
        "--dest",
        str(to),
        f"anthropic=={version}",
    ]
    subprocess.run(
        ["uv", "tool", "run", "pip", "download", "--quiet", *options], check=True
    )


def test_the_installed_sdk_is_the_one_whose_tests_are_run(sdk_source):
    assert sdk_source.name == f"anthropic-{anthropic.__version__}"


def test_the_sdks_own_tests_of_both_batches_resources_pass(desk, sdk_source):
    options = [
        "-q",
        "-o",
        "addopts=",
        "-p",
        "tests._alias_httpx",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:timeout",
    ]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *SUITES],
        cwd=sdk_source,
        env={**os.environ, "TEST_API_BASE_URL": desk.emulator.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4_000:] + ran.stderr[-2_000:]
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed
    assert int(passed[1]) > 250
    assert "skipped" not in ran.stdout
    assert desk.emulator.books()["calls"]["create"]["200"] > 0
