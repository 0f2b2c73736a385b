"""What the project is installed from is declared, pinned and hashed, and no key stands in a file of the repository."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
PACKAGE = ROOT / "plugins" / "nightbatch"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())[
    "project"
]
EDGES = {"local", "emulator"}
"""Folders whose imports need more than `dependencies`: the emulator's extra, and what only a checkout has."""

SECRETS = {
    "an Anthropic key": r"sk-ant-(?:api|admin|oat)\d\d-[\w-]{40,}",
    "an AWS access key id": r"\b(?:AKIA|ASIA)(?!IOSFODNN7EXAMPLE)[0-9A-Z]{16}\b",
    "an AWS secret key": r"(?i)aws_?secret_?access_?key\W{1,5}[0-9a-z/+]{40}\b(?<!EXAMPLEKEY)",
    "a GitHub token": r"\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_\w{60,})",
    "a GitLab token": r"\bglpat-[\w-]{20}",
    "a Google key": r"\bAIza[\w-]{35}",
    "a PyPI token": r"\bpypi-AgEIcHlwaS5vcmc[\w-]{50,}",
    "a Slack token": r"\bxox[abeoprs]-[\w-]{10,}",
    "a Stripe key": r"\b[rs]k_live_[0-9A-Za-z]{20,}",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a Fernet key": r"(?i)fernet_key\W{1,5}[\w-]{43}=",
}
PATTERNS = {kind: re.compile(pattern) for kind, pattern in SECRETS.items()}
EXAMPLES = {
    "an Anthropic key": "sk-ant-" + "api03-" + "aB3_" * 20,
    "an AWS access key id": "AKI" + "A" + "Q7" * 8,
    "an AWS secret key": "AWS_SECRET_ACCESS_KEY" + "=" + "aB3/" * 9 + "aB3d",
    "a GitHub token": "ghp" + "_" + "aB3d" * 9,
    "a GitLab token": "glpat" + "-" + "aB3d" * 5,
    "a Google key": "AIz" + "a" + "aB3d5" * 7,
    "a PyPI token": "pypi-" + "AgEIcHlwaS5vcmc" + "aB3d5" * 12,
    "a Slack token": "xoxb" + "-" + "1234567890-abcdef",
    "a Stripe key": "sk_live" + "_" + "aB3d" * 6,
    "a private key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "a Fernet key": "fernet_key = " + "aB3d" * 10 + "aB3" + "=",
}


def kinds_of_secrets(text: str) -> list[str]:
    """Name what kinds of keys stand in a text, never the keys."""
    return [kind for kind, pattern in PATTERNS.items() if pattern.search(text)]


def tracked_files() -> list[Path]:
    """List the files of the repository, and those about to be added to it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [
        ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()
    ]


def test_no_file_of_the_repository_holds_a_key() -> None:
    files = tracked_files()
    assert ROOT / "pyproject.toml" in files
    secrets = {
        path: kinds_of_secrets(path.read_bytes().decode("utf-8", "replace"))
        for path in files
    }
    assert {
        str(path.relative_to(ROOT)): kinds for path, kinds in secrets.items() if kinds
    } == {}


@pytest.mark.parametrize("kind", SECRETS)
def test_each_kind_of_key_is_recognized(kind: str) -> None:
    assert kinds_of_secrets(f'key = "{EXAMPLES[kind]}"\n') == [kind]


def imports_of(path: Path) -> set[str]:
    """Return the top-level names of the packages that a module imports."""
    names = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"nightbatch", "__future__"}


def name_of(requirement: str) -> str:
    """Return a requirement's project name, in the form that indexes compare."""
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def test_what_the_package_imports_is_declared() -> None:
    extras = [
        requirement
        for extra in PROJECT["optional-dependencies"].values()
        for requirement in extra
    ]
    declared = {
        name_of(requirement) for requirement in [*PROJECT["dependencies"], *extras]
    }
    declared |= {
        "mypy-boto3-s3",
        "psycopg2",
        "psycopg",
        "httpx2",
    }  # for types only; whichever of the two a hook connects with
    distributions = packages_distributions()
    missing = dict[str, str]()
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] in EDGES:
            continue
        for package in imports_of(path):
            names = {name_of(name) for name in distributions.get(package, [package])}
            if not names & declared:
                missing[str(path.relative_to(ROOT))] = package
    assert missing == {}


@pytest.mark.parametrize("name", ["anthropic", "apache-airflow", "jinja2"])
def test_a_library_whose_internals_are_used_has_an_upper_bound(name: str) -> None:
    (requirement,) = [line for line in PROJECT["dependencies"] if name_of(line) == name]
    assert "<" in requirement


def test_the_installer_is_pinned_and_hashed() -> None:
    text = (ROOT / ".ci" / "uv.txt").read_text()
    requirements = [
        line for line in text.splitlines() if line and not line.startswith(("#", " "))
    ]
    assert [name_of(line) for line in requirements] == ["uv"]
    assert re.fullmatch(r"uv==[\d.]+ \\", requirements[0])
    assert text.count("--hash=sha256:") > 1
    assert (
        "--require-hashes --only-binary :all: --requirement .ci/uv.txt"
        in (ROOT / "Makefile").read_text()
    )


def test_every_locked_file_has_a_hash() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    files = [
        file
        for package in lock["package"]
        for file in [*package.get("wheels", []), package.get("sdist")]
        if file
    ]
    assert len(files) > len(lock["package"])
    assert all(file["hash"].startswith("sha256:") for file in files)
