"""What the project is installed from is declared, pinned and hashed, and no key stands in a file of the repository."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
PACKAGE = ROOT / "plugins" / "nightbatch"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())[
    "project"
]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
EXTRAS_OF = {
    "airflow/iceberg.py": "iceberg",
    "airflow/warehouses.py": "warehouse",
    "emulator": "emulator",
    "io/duck.py": "duckdb",
    "io/iceberg.py": "iceberg",
    "io/iceberg_files.py": "iceberg",
    "local": "local",
    "local/cluster": "cluster",
}
"""Which extra a module or a folder may import from, besides `dependencies`; the longest path that fits counts."""
ELSEWHERE = {
    "airflow/lineage.py": {"apache-airflow-providers-openlineage"},
    "emulator/fixtures.py": {"pytest"},
}
"""What is there already wherever somebody asks for these modules: Airflow's OpenLineage, and pytest."""
FOR_TYPES = {"httpx2", "mypy-boto3-s3"}
"""Imported only while types are checked; the SDK brings its own HTTP library."""
# Calls below the SDK's documented methods; messages of Airflow's task runner; the code that Jinja makes of a template;
# how PyIceberg commits files. None of them is documented, so a new minor version may change it.
INTERNALS = {
    "anthropic": ("io/anthropic_sdk/batches.py", "cast_to=object"),
    "apache-airflow": ("airflow/triggers/kill.py", "airflow.sdk.execution_time"),
    "jinja2": ("template/language/code.py", "jinja2.compiler"),
    "pyiceberg": ("io/iceberg.py", "pyiceberg.io.pyarrow"),
}
"""By library: a module of ours that uses its internals, and what shows it."""

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
    """Return the modules that a module imports, but those of Python and its own."""
    modules = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    own = sys.stdlib_module_names | {"nightbatch", "__future__"}
    return {module for module in modules if module.partition(".")[0] not in own}


@cache
def installed_projects() -> Mapping[str, list[str]]:
    """Return the projects that brought each top-level name; reading them takes half a second."""
    return packages_distributions()


def projects_of(module: str) -> set[str]:
    """Return the projects that may bring a module; of Airflow's providers those of its name."""
    top, *parts = module.split(".")
    if parts[:1] == ["providers"]:
        names = {"-".join(parts[1 : 1 + length]) for length in (1, 2)}
        return {f"apache-airflow-providers-{name}" for name in names}
    if top == "airflow":
        return {"apache-airflow"}
    return {name_of(name) for name in installed_projects().get(top, [top])}


def declared(extra: str = "") -> set[str]:
    """Return the projects that are installed with an extra, with the extras of ours that it names; or without one."""
    projects = {name_of(requirement) for requirement in PROJECT["dependencies"]}
    for requirement in EXTRAS[extra] if extra else []:
        named = re.match(r"nightbatch\[(.*)\]", requirement)
        if named is None:
            projects.add(name_of(requirement))
            continue
        for other in named[1].split(","):
            projects |= declared(other)
    return projects


def extra_of(path: Path) -> str:
    """Return the extra that a module may import from; empty where it must do without."""
    place = path.relative_to(PACKAGE)
    fitting = [prefix for prefix in EXTRAS_OF if place.is_relative_to(prefix)]
    return EXTRAS_OF[max(fitting, key=len)] if fitting else ""


def name_of(requirement: str) -> str:
    """Return a requirement's project name, in the form that indexes compare."""
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def test_what_a_module_imports_is_declared_by_the_package_or_its_extra() -> None:
    missing = set[tuple[str, str]]()
    for path in PACKAGE.rglob("*.py"):
        place = str(path.relative_to(PACKAGE))
        installed = declared(extra_of(path)) | FOR_TYPES | ELSEWHERE.get(place, set())
        missing |= {
            (place, module)
            for module in imports_of(path)
            if not projects_of(module) & installed
        }
    assert missing == set()


@pytest.mark.parametrize("place", EXTRAS_OF)
def test_what_has_an_extra_needs_it(place: str) -> None:
    path = PACKAGE / place
    files = [path] if path.suffix else list(path.rglob("*.py"))
    modules = {module for file in files for module in imports_of(file)}
    added = declared(EXTRAS_OF[place]) - declared()
    assert any(projects_of(module) & added for module in modules)


@pytest.mark.parametrize("project", INTERNALS)
def test_a_library_whose_internals_are_used_has_an_upper_bound(project: str) -> None:
    file, used = INTERNALS[project]
    assert used in (PACKAGE / file).read_text()
    requirements = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]  # fmt: skip
    bounds = [line for line in requirements if name_of(line) == project]
    assert bounds
    assert all("<" in line for line in bounds)


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
